// R looks for R_init_keraspredict in the shared object. Forwarding from here
// to Rust keeps the linker from dropping the static library.

void R_init_keraspredict_extendr(void *dll);
void keraspredict_register_handle(void *dll);

void R_init_keraspredict(void *dll) {
    R_init_keraspredict_extendr(dll);
    // Before anything is read back by readRDS() or a worker.
    keraspredict_register_handle(dll);
}
