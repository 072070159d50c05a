.onLoad <- function(libname, pkgname) {
  # The engine takes note of this process, of which others may be forked.
  engine_threads(-1, 0)
  if (is_cluster_worker()) {
    engine_worker()
  }
  register_lazily()
  # The same function hides nothing.
  if (isNamespaceLoaded("magrittr")) {
    assign("%>%", magrittr::`%>%`, envir = topenv())
  }
  # keras3's live models are keras3's: they are ours only while it isn't loaded.
  if (!isNamespaceLoaded("keras3")) {
    registerS3method(
      "predict",
      "keras.src.models.model.Model",
      predict.keraspredict_model
    )
  }
}
