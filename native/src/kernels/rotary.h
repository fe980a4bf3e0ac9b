// Rotary positions by halves: (a, b) -> (a cos - b sin, b cos + a sin) in every head, the rest of the head as it is.
//
// x [tokens, num_heads * head_size], rows at a stride; cosines and sines [rows, half]; out contiguous. Bound: memory.
#pragma once

#include <cstring>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"

namespace panpipe {

template <class S>
struct Rotary {
  using V = typename S::Vector;

  static void head(const float* x, const float* cosines, const float* sines, Index half, float* out) {
    const auto turn = [&](V a, V b, V cosine, V sine, V& first, V& second) {
      first = S::sub(S::mul(a, cosine), S::mul(b, sine));
      second = S::fma(b, cosine, S::mul(a, sine));
    };
    V first, second;
    Index i = 0;
    for (; i + S::width <= half; i += S::width) {
      turn(S::load(x + i), S::load(x + half + i), S::load(cosines + i), S::load(sines + i), first, second);
      S::store(out + i, first);
      S::store(out + half + i, second);
    }
    if (const int rest = static_cast<int>(half - i)) {
      turn(S::load_first(x + i, rest), S::load_first(x + half + i, rest), S::load_first(cosines + i, rest),
           S::load_first(sines + i, rest), first, second);
      S::store_first(out + i, first, rest);
      S::store_first(out + half + i, second, rest);
    }
  }

  static void rotate(const RotateArguments& a) {
    const Index size = a.x.columns / a.num_heads, turned = 2 * a.half;
    each_row(a.x.rows, a.x.columns, [&](Index r) {
      const float *x = a.x.data + r * a.x.stride, *cosines = a.cosines + a.positions[r] * a.half,
                  *sines = a.sines + a.positions[r] * a.half;
      float* out = a.out + r * a.x.columns;
      for (int h = 0; h < a.num_heads; ++h, x += size, out += size) {
        head(x, cosines, sines, a.half, out);
        std::memcpy(out + turned, x + turned, static_cast<std::size_t>(size - turned) * sizeof(float));
      }
    });
  }
};

}  // namespace panpipe
