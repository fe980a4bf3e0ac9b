// Work to measure the machine by: the most multiply-adds a core can do, and the fastest read of memory.
#pragma once

#include "../portable.h"

namespace panpipe {

template <class S>
struct Machine {
  using V = typename S::Vector;

  // Independent chains in registers; the number of operations done.
  static double fma_work(Index rounds) {
    constexpr int chains = 12;
    V acc[chains];
    PANPIPE_UNROLL
    for (int i = 0; i < chains; ++i) acc[i] = S::set(static_cast<float>(i));
    const V a = S::set(0.999f), b = S::set(1e-3f);
    for (Index r = 0; r < rounds; ++r) {
      PANPIPE_UNROLL
      for (int i = 0; i < chains; ++i) acc[i] = S::fma(acc[i], a, b);
    }
    float used = 0.0f;
    for (int i = 0; i < chains; ++i) used += S::sum(acc[i]);
    // The sum is never this large; comparing keeps the work from being dropped.
    return 2.0 * chains * S::width * static_cast<double>(rounds) * (used > 1e30f ? 0.0 : 1.0);
  }

  static float read_work(const float* data, Index size) {
    constexpr int chains = 8;
    V acc[chains];
    for (int i = 0; i < chains; ++i) acc[i] = S::zero();
    for (Index i = 0; i + chains * S::width <= size; i += chains * S::width) {
      PANPIPE_UNROLL
      for (int c = 0; c < chains; ++c) {
        S::prefetch(data + i + 1024 + c * S::width);
        acc[c] = S::add(acc[c], S::load(data + i + c * S::width));
      }
    }
    float total = 0.0f;
    for (int c = 0; c < chains; ++c) total += S::sum(acc[c]);
    return total;
  }
};

}  // namespace panpipe
