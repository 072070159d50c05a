# An app that predicts while one moves the sliders. Run it with
#   shiny::runApp(system.file("examples/shiny", package = "keraspredict")) # nolint

library(shiny)
library(keraspredict)

# Loaded once, for all sessions.
model <- load_model(keraspredict_example("iris"))
species <- c("setosa", "versicolor", "virginica")

ui <- fluidPage(
  titlePanel("Which iris is it?"),
  sidebarLayout(
    sidebarPanel(
      sliderInput("sepal_length", "Sepal length (cm)", 4, 8, 5.8, step = 0.1),
      sliderInput("sepal_width", "Sepal width (cm)", 2, 4.5, 3, step = 0.1),
      sliderInput("petal_length", "Petal length (cm)", 1, 7, 4.3, step = 0.1),
      sliderInput("petal_width", "Petal width (cm)", 0.1, 2.5, 1.3, step = 0.1)
    ),
    mainPanel(textOutput("best"), plotOutput("bars"))
  )
)

server <- function(input, output, session) {
  probabilities <- reactive({
    x <- matrix(
      c(
        input$sepal_length,
        input$sepal_width,
        input$petal_length,
        input$petal_width
      ),
      1
    )
    stats::setNames(model(x)[1, ], species)
  })
  output$best <- renderText({
    p <- probabilities()
    sprintf(
      "%s, with a probability of %.0f %%",
      names(p)[which.max(p)],
      100 * max(p)
    )
  })
  output$bars <- renderPlot(barplot(
    probabilities(),
    ylim = c(0, 1),
    ylab = "probability",
    border = NA
  ))
}

shinyApp(ui, server)
