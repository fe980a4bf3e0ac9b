// Pooling: one vector for each sequence of a ragged batch: the mean, the first, the last or the largest of its rows.
//
// x [tokens, hidden], rows at a stride; sequence s has rows offsets[s] ... offsets[s + 1] - 1. out [sequences, hidden];
// a sequence of no rows gives zeros. A strip of columns stays in one register while the rows go by. Bound: memory.
#pragma once

#include <cstring>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"

namespace panpipe {

template <class S>
struct Pooler {
  using V = typename S::Vector;

  template <bool mean>
  static PANPIPE_INLINE V reduce(const Matrix& x, Index begin, Index end, Index column,
                                 int lanes) {
    const auto row = [&](Index r) {
      const float* p = x.data + r * x.stride + column;
      return lanes == S::width ? S::load(p) : S::load_first(p, lanes);
    };
    V value = row(begin);
    for (Index r = begin + 1; r < end; ++r) value = mean ? S::add(value, row(r)) : S::max(row(r), value);
    return mean ? S::div(value, S::set(static_cast<float>(end - begin))) : value;
  }

  static void sequence(const PoolArguments& a, int s) {
    const Index begin = a.offsets[s], end = a.offsets[s + 1], columns = a.x.columns;
    float* out = a.out + s * columns;
    if (begin == end || a.pooling == Pooling::cls || a.pooling == Pooling::last) {
      const std::size_t bytes = static_cast<std::size_t>(columns) * sizeof(float);
      if (begin == end) {
        std::memset(out, 0, bytes);
      } else {
        std::memcpy(out, a.x.data + (a.pooling == Pooling::cls ? begin : end - 1) * a.x.stride, bytes);
      }
      return;
    }
    for (Index c = 0; c < columns; c += S::width) {
      const int lanes = static_cast<int>(smaller(S::width, columns - c));
      const V value = a.pooling == Pooling::mean ? reduce<true>(a.x, begin, end, c, lanes)
                                                 : reduce<false>(a.x, begin, end, c, lanes);
      S::store_first(out + c, value, lanes);
    }
  }

  static void pool(const PoolArguments& a) {
    const Index chunks =
        smaller(a.sequences, ceil_div(a.x.rows * a.x.columns, 1 << 14));
    parallel_for(static_cast<int>(larger(chunks, a.sequences > 0)), [&](int chunk) {
      const Index parts = larger(chunks, 1);
      const Index end = part_begin(a.sequences, parts, chunk + 1);
      for (Index s = part_begin(a.sequences, parts, chunk); s < end; ++s) sequence(a, static_cast<int>(s));
    });
  }
};

}  // namespace panpipe
