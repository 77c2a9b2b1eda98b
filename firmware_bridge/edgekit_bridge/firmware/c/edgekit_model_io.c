/* See edgekit_model_io.h. */

#include "edgekit_model_io.h"

#include <string.h>

#include "edgekit_hal.h"

uint64_t edgekit_layer_ticks[EDGEKIT_LAYERS];

static uint64_t layer_began;

#if EDGEKIT_KEEP_INPUTS
static uint8_t kept[EDGEKIT_INPUT_BYTES];

uint8_t *edgekit_kept_input(uint32_t index) {
    uint8_t *place = kept;
    for (uint32_t i = 0; i < index; ++i) place += edgekit_inputs[i].bytes;
    return place;
}

/* A model may overwrite its inputs, which share the arena with what it computes. */
static void restore(void) {
    for (uint32_t i = 0; i < EDGEKIT_INPUTS; ++i)
        memcpy(edgekit_input(i), edgekit_kept_input(i), edgekit_inputs[i].bytes);
}
#else
uint8_t *edgekit_kept_input(uint32_t index) { return edgekit_input(index); }

static void restore(void) {}
#endif

uint64_t edgekit_infer_timed(void) {
    restore();
    uint64_t began = hal_ticks();
    edgekit_invoke(NULL);
    return hal_ticks() - began;
}

static void after_layer(uint32_t layer) {
    uint64_t now = hal_ticks();
    edgekit_layer_ticks[layer] += now - layer_began;
    layer_began = hal_ticks(); /* what the bookkeeping takes belongs to no layer */
}

uint64_t edgekit_infer_layers(void) {
    restore();
    uint64_t began = layer_began = hal_ticks();
    edgekit_invoke(after_layer);
    return hal_ticks() - began;
}
