/* The model, as both protocols use it: inputs kept over inferences, each of which is timed. */

#ifndef EDGEKIT_MODEL_IO_H
#define EDGEKIT_MODEL_IO_H

#include <stddef.h>
#include <stdint.h>

#include "edgekit_config.h"
#include "model.h"

#if EDGEKIT_MODEL_INTERFACE != 1
#error "This harness links models of interface 1: take a model.h and a harness of the same edgekit."
#endif

#ifndef EDGEKIT_INPUT_BYTES
#define EDGEKIT_INPUT_BYTES EDGEKIT_MOST_INPUT_BYTES
#endif

extern uint64_t edgekit_layer_ticks[EDGEKIT_LAYERS];

/* Where input `index` is written to; it stays until it is written again. */
uint8_t *edgekit_kept_input(uint32_t index);

/* Run once on the kept inputs; gives the ticks that the model alone took. */
uint64_t edgekit_infer_timed(void);

/* As edgekit_infer_timed, and add each layer's ticks to edgekit_layer_ticks. */
uint64_t edgekit_infer_layers(void);

#endif
