// Layer norm, RMS norm and Euclidean normalisation of rows.
//
// x [tokens, hidden], rows at a stride -> out [tokens, hidden]. A row is read two or three times from the L1 cache: once
// for its mean, once for its spread, once to write; the variance is that of centred values, so large means lose nothing.
// Bound: memory.
#pragma once

#include <math.h>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"

namespace panpipe {

template <class S>
struct Norms {
  using V = typename S::Vector;

  // The sum over a row of (value - shift) or of its square, in four chains so that additions need not wait.
  template <bool square>
  static PANPIPE_INLINE float sum_of(const float* row, Index size, float shift) {
    const V minus = S::set(-shift);
    const auto step = [=](const float* p, V sum) {
      const V value = S::add(S::load(p), minus);
      return square ? S::fma(value, value, sum) : S::add(value, sum);
    };
    V a = S::zero(), b = S::zero(), c = S::zero(), d = S::zero();
    Index i = 0;
    for (; i + 4 * S::width <= size; i += 4 * S::width) {
      a = step(row + i, a);
      b = step(row + i + S::width, b);
      c = step(row + i + 2 * S::width, c);
      d = step(row + i + 3 * S::width, d);
    }
    for (; i + S::width <= size; i += S::width) a = step(row + i, a);
    float total = S::sum(S::add(S::add(a, b), S::add(c, d)));
    for (; i < size; ++i) total += square ? (row[i] - shift) * (row[i] - shift) : row[i] - shift;
    return total;
  }

  // out[i] = (row[i] - shift) * factor * weight[i] + bias[i]; weight and bias may be null.
  static PANPIPE_INLINE void write(const float* row, float* out, Index size, float shift, float factor,
                                   const float* weight, const float* bias) {
    const V minus = S::set(-shift), times = S::set(factor);
    Index i = 0;
    for (; i + S::width <= size; i += S::width) {
      V y = S::mul(S::add(S::load(row + i), minus), times);
      if (weight) y = S::mul(y, S::load(weight + i));
      if (bias) y = S::add(y, S::load(bias + i));
      S::store(out + i, y);
    }
    const int rest = static_cast<int>(size - i);
    if (rest == 0) return;
    V y = S::mul(S::add(S::load_first(row + i, rest), minus), times);
    if (weight) y = S::mul(y, S::load_first(weight + i, rest));
    if (bias) y = S::add(y, S::load_first(bias + i, rest));
    S::store_first(out + i, y, rest);
  }

  static void layer_norm(const NormArguments& a) {
    const Index size = a.x.columns;
    each_row(a.x.rows, size, [&](Index r) {
      const float* row = a.x.data + r * a.x.stride;
      const float mean = sum_of<false>(row, size, 0.0f) / static_cast<float>(size);
      const float variance = sum_of<true>(row, size, mean) / static_cast<float>(size);
      write(row, a.out + r * size, size, mean, 1.0f / sqrtf(variance + a.epsilon), a.weight, a.bias);
    });
  }

  static void rms_norm(const NormArguments& a) {
    const Index size = a.x.columns;
    each_row(a.x.rows, size, [&](Index r) {
      const float* row = a.x.data + r * a.x.stride;
      const float mean_square = sum_of<true>(row, size, 0.0f) / static_cast<float>(size);
      write(row, a.out + r * size, size, 0.0f, 1.0f / sqrtf(mean_square + a.epsilon), a.weight, nullptr);
    });
  }

  static void normalize(const Matrix& x, float* out) {
    each_row(x.rows, x.columns, [&](Index r) {
      const float* row = x.data + r * x.stride;
      const float length = sqrtf(sum_of<true>(row, x.columns, 0.0f));
      write(row, out + r * x.columns, x.columns, 0.0f, 1.0f / larger_float(length, 1e-12f), nullptr, nullptr);
    });
  }
};

}  // namespace panpipe
