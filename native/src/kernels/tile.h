// The register tile that matrix products and attention are made of.
//
// acc[r][v] += sum over k of a[r][k] * b[k][v], r < R rows, v < NV vectors. a: rows at a stride, k contiguous (each
// value is broadcast). b: rows of NV vectors at a stride. Every sum runs over k in order, one fused multiply-add each,
// whatever the tile's height: a row's result does not depend on the rows computed beside it.
// Bound: compute (the FMA units) from about 4 rows of 2 vectors on; below, the latency of the chains.
#pragma once

#include "../portable.h"

namespace panpipe {

// What to ask of memory meanwhile, for later: so many cache lines for every 4 steps of k. (Into L1, though what is asked
// for a whole slice ahead will have moved on to L2 when it is used: measured, asking for L2 alone is no better.)
struct Ahead {
  const char* next;
  int lines;
};

template <class S, int R, int NV>
PANPIPE_INLINE void multiply_step(const float* a, Index a_stride, const float* b,
                                  typename S::Vector (&acc)[R][NV]) {
  typename S::Vector weights[NV];
  PANPIPE_UNROLL
  for (int v = 0; v < NV; ++v) weights[v] = S::load(b + v * S::width);
  PANPIPE_UNROLL
  for (int r = 0; r < R; ++r) {
    const typename S::Vector value = S::set(a[r * a_stride]);
    PANPIPE_UNROLL
    for (int v = 0; v < NV; ++v) acc[r][v] = S::fma(value, weights[v], acc[r][v]);
  }
}

template <class S, int R, int NV>
PANPIPE_INLINE void multiply_tile(const float* a, Index a_stride, const float* b, Index b_stride,
                                  Index depth, Ahead ahead, typename S::Vector (&acc)[R][NV]) {
  Index k = 0;
  for (; k + 4 <= depth; k += 4) {
    for (int line = 0; line < ahead.lines; ++line, ahead.next += 64) S::prefetch(ahead.next);
    PANPIPE_UNROLL
    for (int step = 0; step < 4; ++step) multiply_step<S, R, NV>(a + k + step, a_stride, b + (k + step) * b_stride, acc);
  }
  for (; k < depth; ++k) multiply_step<S, R, NV>(a + k, a_stride, b + k * b_stride, acc);
}

}  // namespace panpipe
