// Attention with few queries to a sequence (decoding, drafts to be checked, beams that look at one source): keys and
// values are read where they lie, for all the queries and heads that share them.
//
// A block of keys at a time, and of it one head after another, so that rows are read nearly whole. A score is a dot product: lanes run along the head, S::width keys at a time, and their
// sums are added up together. What is gathered takes the keys in two chains, the even and the odd ones. A query's result
// does not depend, to the last bit, on how many others come with it: every sum is made in the same order, and keys that
// it does not see weigh 0.
//
// Bound: memory; with several queries to a key the units that add and multiply.
#pragma once

#include <cstring>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"
#include "attention_rows.h"

namespace panpipe {

template <class S>
class FewQueries {
  using V = typename S::Vector;
  using Softmax = RunningSoftmax<S>;
  using Line = typename Softmax::Line;
  using Range = typename Softmax::Range;
  static constexpr int width = S::width;
  static constexpr Index block_keys = 256;
  static constexpr Index run_keys = Softmax::run_keys;
  static constexpr int lines_at_once = S::tile_rows >= 12 ? 2 : 1;  // as there are registers

 public:
  static constexpr Index most_lines = 64;

  // The queries of `item`, with `heads` heads from first_head on: at most most_lines of both together.
  FewQueries(const AttentionArguments& arguments, const AttentionItem& item, Index first, Index heads)
      : a(arguments),
        head_size(a.head_size),
        padded(round_up(head_size, width)),
        queries(item.queries),
        group(a.num_heads / a.num_kv_heads),
        first_head(first),
        last_head(first + heads),
        num_lines(queries * heads),
        rows(a, item.sequence) {
    const Index after = a.q_offsets[item.sequence + 1];
    for (Index n = 0; n < num_lines; ++n) {
      const Index head = first_head + n / queries, i = item.first_query + n % queries;
      lines[n] = Softmax::begin(a, a.q_positions ? a.q_positions[i] : rows.size() - (after - i), head);
      query[n] = a.q.data + i * a.q.stride + head * head_size;
      out[n] = a.out + (i * a.num_heads + head) * head_size;
    }
    scores = scratch(static_cast<std::size_t>(num_lines * (block_keys + padded)));
    gathered = scores + num_lines * block_keys;
  }

  void run() {
    std::memset(gathered, 0, static_cast<std::size_t>(num_lines * padded) * sizeof(float));
    const Range all = Softmax::seen_by_any(a, lines, num_lines, rows.size());
    for (Index j = all.begin, end; j < all.end; j = end) {
      end = smaller((j / block_keys + 1) * block_keys, all.end);
      take_block(j, end);
    }
    for (Index n = 0; n < num_lines; ++n) Softmax::write(lines[n], gathered + n * padded, head_size, out[n]);
  }

 private:
  // Some keys for one head after another: row by row, memory is read nearly whole.
  void take_block(Index j0, Index j1) {
    const Index count = j1 - j0, stride = round_up(count, width);
    rows.list(a.k, a.v, first_head / group * head_size, j0, j1, stride, keys, values);
    for (Index j = 0; j < stride; j += width) {
      each_head([&](Index begin, Index end) {
        for (Index n = begin; n < end; ++n) S::store(scores + n * block_keys + j, dots(query[n], keys + j));
        for (Index i = j; i < j + width; ++i) keys[i] += head_size;
      });
    }
    for (Index n = 0; n < num_lines; ++n) {
      const Range seen = Softmax::within(Softmax::seen(a, lines[n].place, rows.size()), j0, count);
      float* row = scores + n * block_keys;
      const float top = Softmax::prepare(a, lines[n], j0, seen, row);
      Softmax::soften(lines[n], seen, stride, top, row, gathered + n * padded, padded);
    }
    for (Index j = 0; j < count; j += run_keys) {
      const Index most = smaller(run_keys, count - j);
      each_head([&](Index begin, Index end) {
        Index n = begin;
        for (; n + lines_at_once <= end; n += lines_at_once) gather<lines_at_once>(n, j, most);
        for (; n < end; ++n) gather<1>(n, j, most);
        for (Index i = j; i < j + most; ++i) values[i] += head_size;
      });
    }
  }

  // The lines begin ... end - 1 that share a head's keys, head after head.
  template <class Lines>
  PANPIPE_INLINE void each_head(Lines take) {
    for (Index head = first_head; head < last_head;) {
      const Index next = smaller((head / group + 1) * group, last_head);
      take((head - first_head) * queries, (next - first_head) * queries);
      head = next;
    }
  }

  // Lane n: the dot product of the query and keys[n].
  V dots(const float* q, const float* const* keys_here) const {
    V acc[width];
    PANPIPE_UNROLL
    for (int n = 0; n < width; ++n) acc[n] = S::zero();
    Index i = 0;
    for (; i + 4 * width <= head_size; i += 4 * width) add_dots<4>(q, keys_here, i, acc);
    for (; i + width <= head_size; i += width) add_dots<1>(q, keys_here, i, acc);
    if (const int rest = static_cast<int>(head_size - i)) {
      const V part = S::load_first(q + i, rest);
      PANPIPE_UNROLL
      for (int n = 0; n < width; ++n) acc[n] = S::fma(part, S::load_first(keys_here[n] + i, rest), acc[n]);
    }
    return S::sums(acc);
  }

  template <int N>
  static PANPIPE_INLINE void add_dots(const float* q, const float* const* keys_here, Index i, V (&acc)[width]) {
    V part[N];
    PANPIPE_UNROLL
    for (int m = 0; m < N; ++m) part[m] = S::load(q + i + m * width);
    PANPIPE_UNROLL
    for (int n = 0; n < width; ++n) {
      const float* key = keys_here[n] + i;
      PANPIPE_UNROLL
      for (int m = 0; m < N; ++m) acc[n] = S::fma(part[m], S::load(key + m * width), acc[n]);
    }
  }

  // gathered[n ... n + R - 1] += powers @ values, keys j ... j + count - 1 of the block.
  template <int R>
  void gather(Index n, Index j, Index count) {
    const float* powers = scores + n * block_keys + j;
    float* sums = gathered + n * padded;
    Index c = 0;
    for (; c + 4 * width <= head_size; c += 4 * width) gather_columns<R, 4>(powers, sums, values + j, c, count, width);
    for (; c < head_size; c += width) {
      gather_columns<R, 1>(powers, sums, values + j, c, count, static_cast<int>(smaller(width, head_size - c)));
    }
  }

  // N vectors of columns from c on; `lanes` of the last.
  template <int R, int N>
  PANPIPE_INLINE void gather_columns(const float* powers, float* sums, const float* const* from, Index c,
                                     Index count, int lanes) const {
    V even[R][N], odd[R][N];
    sums += c;
    PANPIPE_UNROLL
    for (int r = 0; r < R; ++r) {
      PANPIPE_UNROLL
      for (int m = 0; m < N; ++m) {
        even[r][m] = S::load(sums + r * padded + m * width);
        odd[r][m] = S::zero();
      }
    }
    Index j = 0;
    for (; j + 2 <= count; j += 2) {
      add_values<R, N>(powers + j, from[j] + c, lanes, even);
      add_values<R, N>(powers + j + 1, from[j + 1] + c, lanes, odd);
    }
    if (j < count) add_values<R, N>(powers + j, from[j] + c, lanes, even);
    PANPIPE_UNROLL
    for (int r = 0; r < R; ++r) {
      PANPIPE_UNROLL
      for (int m = 0; m < N; ++m) S::store(sums + r * padded + m * width, S::add(even[r][m], odd[r][m]));
    }
  }

  template <int R, int N>
  static PANPIPE_INLINE void add_values(const float* powers, const float* value, int lanes,
                                        V (&acc)[R][N]) {
    V part[N];
    PANPIPE_UNROLL
    for (int m = 0; m < N; ++m) part[m] = N > 1 || lanes == width ? S::load(value + m * width) : S::load_first(value, lanes);
    PANPIPE_UNROLL
    for (int r = 0; r < R; ++r) {
      const V power = S::set(powers[r * block_keys]);
      PANPIPE_UNROLL
      for (int m = 0; m < N; ++m) acc[r][m] = S::fma(power, part[m], acc[r][m]);
    }
  }

  const AttentionArguments& a;
  const Index head_size, padded, queries, group, first_head, last_head, num_lines;
  const KeyRows<S> rows;
  Line lines[most_lines];
  const float* query[most_lines];
  float* out[most_lines];
  const float *keys[block_keys], *values[block_keys];
  float *scores, *gathered;
};

}  // namespace panpipe
