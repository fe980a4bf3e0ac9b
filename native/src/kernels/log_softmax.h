// x - log(sum(e^x)) of every row: log-probabilities from logits.
//
// x [rows, columns], rows at a stride; out contiguous. A row of logits fits into the L2 cache, where it is read three
// times: for its largest value, for the sum, to write. -infinity stays so. Bound: memory, from about 4 rows on.
#pragma once

#include <math.h>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"
#include "activation.h"

namespace panpipe {

template <class S>
struct LogSoftmax {
  using V = typename S::Vector;
  static constexpr int width = S::width;
  static constexpr int chains = 4;  // so that one step need not wait for the one before

  static float largest(const float* row, Index size) {
    V top[chains];
    for (int c = 0; c < chains; ++c) top[c] = S::set(-HUGE_VALF);
    Index i = 0;
    for (; i + chains * width <= size; i += chains * width) {
      PANPIPE_UNROLL
      for (int c = 0; c < chains; ++c) top[c] = S::max(S::load(row + i + c * width), top[c]);
    }
    for (; i + width <= size; i += width) top[0] = S::max(S::load(row + i), top[0]);
    float result = S::largest(S::max(S::max(top[0], top[1]), S::max(top[2], top[3])));
    for (; i < size; ++i) result = larger_float(row[i], result);
    return result;
  }

  // The sum of e^(x - top).
  static float sum_of_powers(const float* row, Index size, float top) {
    const V minus = S::set(-top);
    V sum[chains];
    for (int c = 0; c < chains; ++c) sum[c] = S::zero();
    const auto power = [=](V x) { return Activations<S>::exp(S::add(x, minus)); };
    Index i = 0;
    for (; i + chains * width <= size; i += chains * width) {
      PANPIPE_UNROLL
      for (int c = 0; c < chains; ++c) sum[c] = S::add(sum[c], power(S::load(row + i + c * width)));
    }
    for (; i + width <= size; i += width) sum[0] = S::add(sum[0], power(S::load(row + i)));
    if (const int rest = static_cast<int>(size - i)) {
      sum[1] = S::add(sum[1], S::first(power(S::load_first(row + i, rest)), rest, S::zero()));
    }
    return S::sum(S::add(S::add(sum[0], sum[1]), S::add(sum[2], sum[3])));
  }

  static void row(const float* x, float* out, Index size) {
    const float top = largest(x, size);
    // In a row of -infinity alone nothing has a chance: it stays as it is.
    const float shift = top == -HUGE_VALF ? 0.0f : top + logf(sum_of_powers(x, size, top));
    const V minus = S::set(-shift);
    Index i = 0;
    for (; i + width <= size; i += width) S::store(out + i, S::add(S::load(x + i), minus));
    for (; i < size; ++i) out[i] = x[i] - shift;
  }

  static void log_softmax(const Matrix& x, float* out) {
    each_row(x.rows, x.columns, [&](Index r) { row(x.data + r * x.stride, out + r * x.columns, x.columns); });
  }
};

}  // namespace panpipe
