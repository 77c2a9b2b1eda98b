/* Where an element lies, by the steps of the three outer dimensions of four. */
#define STRIDED(steps, i, j, k) ((ptrdiff_t)(i) * (steps)[0] + (ptrdiff_t)(j) * (steps)[1] + (ptrdiff_t)(k) * (steps)[2])
