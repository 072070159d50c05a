library(testthat)
library(keraspredict)

test_check("keraspredict")
