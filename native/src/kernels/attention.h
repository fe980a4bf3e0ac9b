// Attention: softmax(scale * q @ k^T + bias) @ v for every sequence and head of a ragged batch.
//
// q [q_tokens, num_heads * head_size]; k, v [kv_tokens, num_kv_heads * head_size]; rows at a stride, so all three may be
// slices of one matrix. out [q_tokens, num_heads * head_size].
//
// One chunk of work is one head of one item: a stretch of at most `item_queries` queries of one sequence. Keys are
// taken in blocks of `block_keys`: their rows are laid out anew as panels (k transposed, v with a whole number of
// vectors), and tiles of up to S::tile_rows queries multiply them with the register tile of tile.h. Scores of a tile
// stay in the L1 cache between the two products. Over more than one block the softmax runs: each query keeps its largest
// score and its sum so far, and what it has gathered is scaled when a larger score comes (Milakov & Gimelshein 2018,
// arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135). Where a sequence has few queries (decoding) the laying out
// would cost more than it saves, and k and v are read where they lie.
//
// Bound: compute with many queries, memory with few.
#pragma once

#include <math.h>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"
#include "activation.h"
#include "tile.h"

namespace panpipe {

template <class S>
class Attention {
  using V = typename S::Vector;
  static constexpr int width = S::width;
  static constexpr int tile_rows = S::tile_rows;
  static constexpr int vectors = S::tile_vectors;
  static constexpr int panel_width = vectors * width;
  static constexpr Index block_keys = 256;
  static constexpr Index few_queries = 3;
  static_assert(block_keys % panel_width == 0, "a block of keys is a whole number of panels");
  static_assert(vectors == 2, "the last panel of a block has one vector or two");

 public:
  static void attention(const AttentionArguments& a) {
    const int heads = a.num_heads;
    parallel_for(a.num_items * heads, [&](int chunk) { Attention(a, a.items[chunk / heads], chunk % heads).run(); });
  }

 private:
  // -- one head of one item ------------------------------------------------------------------------------------------

  Attention(const AttentionArguments& arguments, const AttentionItem& item, int head)
      : a(arguments),
        head_size(a.head_size),
        padded(round_up(head_size, width)),
        head_index(head),
        first_query(item.first_query),
        queries(item.queries),
        first_key(a.kv_offsets[item.sequence]),
        keys(a.kv_offsets[item.sequence + 1] - first_key),
        first_place(keys - (a.q_offsets[item.sequence + 1] - first_query)),
        is_direct(a.q_offsets[item.sequence + 1] - a.q_offsets[item.sequence] <= few_queries) {
    const Index kv_head = head / (a.num_heads / a.num_kv_heads);
    q = a.q.data + first_query * a.q.stride + head * head_size;
    k = a.k.data + first_key * a.k.stride + kv_head * head_size;
    v = a.v.data + first_key * a.v.stride + kv_head * head_size;
    // Everything a chunk needs, in one piece of scratch memory; each part is a whole number of vectors.
    const Index block = smaller(round_up(keys, panel_width), block_keys);
    const Index rows = round_up(queries, width);
    float* memory = scratch(static_cast<std::size_t>(2 * block * padded + tile_rows * block + rows * (padded + 2)));
    k_panels = memory;
    v_rows = k_panels + block * padded;
    scores = v_rows + block * padded;
    gathered = scores + tile_rows * block;
    largest = gathered + rows * padded;
    sums = largest + rows;
  }

  void run() {
    for (Index i = 0; i < queries; ++i) largest[i] = lowest, sums[i] = 0.0f;
    const Index seen = visible(queries > 0 ? furthest(0, queries) : 0);
    for (Index j = 0; j < seen; j += block_keys) take_block(j, smaller(j + block_keys, seen));
    for (Index i = 0; i < queries; ++i) write(i, seen > 0);
  }

  // The place of query i among the keys, and how many keys it sees from there.
  Index place(Index i) const {
    return a.q_positions ? a.q_positions[first_query + i] : first_place + i;
  }
  Index visible(Index at) const {
    return a.causal ? smaller(larger(at + 1, 0), keys) : keys;
  }
  Index furthest(Index begin, Index end) const {
    Index most = place(begin);
    for (Index i = begin + 1; i < end; ++i) most = larger(most, place(i));
    return most;
  }

  // Keys j0 ... j1 - 1.
  void take_block(Index j0, Index j1) {
    if (!is_direct) {
      lay_out_keys(j0, j1);
      lay_out_values(j0, j1);
    }
    const Index tiles = ceil_div(queries, tile_rows);
    for (Index t = 0; t < tiles; ++t) {
      const Index i0 = part_begin(queries, tiles, t), i1 = part_begin(queries, tiles, t + 1);
      expect(t, tiles, i0, i1, j1);
      const Index end = smaller(j1, visible(furthest(i0, i1)));
      if (end > j0) take_tile(i0, static_cast<int>(i1 - i0), j0, end);
    }
  }

  // Asks for what the next block or else the next head will read, a share with each tile, and for the tile's place in
  // `out`. A head's columns are a few lines of every row: no processor would guess them by itself.
  void expect(Index tile, Index tiles, Index i0, Index i1, Index j1) const {
    if (j1 < keys) return fetch_keys(j1, smaller(keys - j1, block_keys), 0, tile, tiles);
    for (Index i = i0; i < i1; ++i) fetch_to_write(out_row(i));
    if (head_index + 1 == a.num_heads) return;
    const bool is_new = (head_index + 1) % (a.num_heads / a.num_kv_heads) == 0;
    if (is_new) fetch_keys(0, smaller(keys, block_keys), head_size, tile, tiles);
    for (Index i = i0; i < i1; ++i) fetch(q + i * a.q.stride + head_size);
  }

  // One tile's share of `count` rows of k and v from row j on, some columns further.
  void fetch_keys(Index j, Index count, Index columns, Index tile, Index tiles) const {
    for (Index n = part_begin(count, tiles, tile); n < part_begin(count, tiles, tile + 1); ++n) {
      fetch(k + (j + n) * a.k.stride + columns);
      fetch(v + (j + n) * a.v.stride + columns);
    }
  }

  static constexpr Index line = 64 / sizeof(float);
  void fetch(const float* row) const {
    for (Index i = 0; i < head_size; i += line) S::prefetch_far(row + i);
  }
  void fetch_to_write(const float* row) const {
    for (Index i = 0; i < head_size; i += line) S::prefetch_to_write(row + i);
  }
  float* out_row(Index i) const {
    return a.out + (first_query + i) * a.num_heads * head_size + head_index * head_size;
  }

  void take_tile(Index i0, int rows, Index j0, Index j1) {
    const Index count = j1 - j0, stride = round_up(count, width);
    if (is_direct) {
      for (int r = 0; r < rows; ++r) dot_rows(i0 + r, j0, j1, scores + r * stride);
    } else {
      const float* rows_of_q = q + i0 * a.q.stride;
      for (Index j = 0; j < count; j += panel_width) {
        const bool is_full = stride - j >= panel_width;
        product(rows, is_full)(rows_of_q, a.q.stride, k_panels + j * head_size, panel_width, head_size,
                                             scores + j, stride, false);
      }
    }
    // In two rounds: what is done to one row is one long chain, and rows done together hide each other's waits.
    float tops[tile_rows];
    for (int r = 0; r < rows; ++r) tops[r] = prepare(i0 + r, j0, count, scores + r * stride);
    for (int r = 0; r < rows; ++r) soften(i0 + r, j0, count, tops[r], scores + r * stride);
    gather(i0, rows, j0, count, stride);
  }

  // -- products ------------------------------------------------------------------------------------------------------

  using Product = void (*)(const float* a, Index a_stride, const float* b, Index b_stride,
                           Index depth, float* c, Index c_stride, bool adds);

  // c = a @ b, or c += a @ b: R rows by NV vectors.
  template <int R, int NV>
  static PANPIPE_NO_INLINE void multiply(const float* a, Index a_stride, const float* b, Index b_stride,
                                         Index depth, float* c, Index c_stride, bool adds) {
    V acc[R][NV];
    PANPIPE_UNROLL
    for (int r = 0; r < R; ++r) {
      PANPIPE_UNROLL
      for (int n = 0; n < NV; ++n) acc[r][n] = adds ? S::load(c + r * c_stride + n * width) : S::zero();
    }
    multiply_tile<S, R, NV>(a, a_stride, b, b_stride, depth, Ahead{nullptr, 0}, acc);
    PANPIPE_UNROLL
    for (int r = 0; r < R; ++r) {
      PANPIPE_UNROLL
      for (int n = 0; n < NV; ++n) S::store(c + r * c_stride + n * width, acc[r][n]);
    }
  }

  // The product of 1 ... tile_rows rows by one vector or by a panel.
  static Product product(int rows, bool is_panel) {
    static constexpr Products table = products(Rows{});
    return is_panel ? table.panel[rows - 1] : table.vector[rows - 1];
  }

  struct Products {
    Product vector[tile_rows], panel[tile_rows];
  };
  template <int... R>
  struct List {};
  template <int N, int... R>
  struct Count : Count<N - 1, N, R...> {};
  template <int... R>
  struct Count<0, R...> {
    using Type = List<R...>;
  };
  using Rows = typename Count<tile_rows>::Type;
  template <int... R>
  static constexpr Products products(List<R...>) {
    return {{&multiply<R, 1>...}, {&multiply<R, vectors>...}};
  }

  // Scores of query i with keys j0 ... j1 - 1, read where they lie.
  void dot_rows(Index i, Index j0, Index j1, float* out) const {
    const float* query = q + i * a.q.stride;
    Index j = j0;
    for (; j + 4 <= j1; j += 4) dot<4>(query, k + j * a.k.stride, out + j - j0);
    for (; j < j1; ++j) dot<1>(query, k + j * a.k.stride, out + j - j0);
  }

  template <int N>
  PANPIPE_INLINE void dot(const float* query, const float* key, float* out) const {
    V acc[N];
    for (int n = 0; n < N; ++n) acc[n] = S::zero();
    Index i = 0;
    for (; i + width <= head_size; i += width) {
      const V part = S::load(query + i);
      PANPIPE_UNROLL
      for (int n = 0; n < N; ++n) acc[n] = S::fma(part, S::load(key + n * a.k.stride + i), acc[n]);
    }
    if (const int rest = static_cast<int>(head_size - i)) {
      const V part = S::load_first(query + i, rest);
      for (int n = 0; n < N; ++n) acc[n] = S::fma(part, S::load_first(key + n * a.k.stride + i, rest), acc[n]);
    }
    for (int n = 0; n < N; ++n) out[n] = S::sum(acc[n]);
  }

  // gathered[rows] += probabilities @ v[j0 ... j0 + count - 1].
  void gather(Index i0, int rows, Index j0, Index count, Index stride) {
    const bool in_place = is_direct && padded == head_size;
    if (is_direct && !in_place) lay_out_values(j0, j0 + count);
    const float* values = in_place ? v + j0 * a.v.stride : v_rows;
    const Index value_stride = in_place ? a.v.stride : padded;
    for (Index c = 0; c < padded; c += panel_width) {
      product(rows, padded - c >= panel_width)(scores, stride, values + c, value_stride, count,
                                                            gathered + i0 * padded + c, padded, j0 > 0);
    }
  }

  // -- laying out ----------------------------------------------------------------------------------------------------

  // k_panels[panel][i][key of the panel] = k[j0 + key][i]. Keys past the last repeat it; their scores are never used.
  void lay_out_keys(Index j0, Index j1) {
    for (Index j = j0; j < j1; j += width) {
      const float* rows[width];
      for (Index n = 0; n < width; ++n) rows[n] = k + smaller(j + n, j1 - 1) * a.k.stride;
      const Index column = j - j0;
      float* to = k_panels + column / panel_width * panel_width * head_size + column % panel_width;
      Index i = 0;
      for (; i + width <= head_size; i += width) {
        S::transpose(rows, to + i * panel_width, panel_width);
        for (int n = 0; n < width; ++n) rows[n] += width;
      }
      for (Index rest = 0; i < head_size; ++i, ++rest) {
        for (int n = 0; n < width; ++n) to[i * panel_width + n] = rows[n][rest];
      }
    }
  }

  void lay_out_values(Index j0, Index j1) {
    float* to = v_rows;
    for (Index j = j0; j < j1; ++j, to += padded) {
      const float* row = v + j * a.v.stride;
      Index i = 0;
      for (; i + width <= head_size; i += width) S::store(to + i, S::load(row + i));
      if (const int rest = static_cast<int>(head_size - i)) S::store(to + i, S::load_first(row + i, rest));
    }
  }

  // -- the running softmax -------------------------------------------------------------------------------------------

  // How many of `count` keys from j0 on query i sees.
  Index seen_of(Index i, Index j0, Index count) const {
    return smaller(larger(visible(place(i)) - j0, 0), count);
  }

  // Scales the scores of query i with those keys and adds the bias; their largest.
  float prepare(Index i, Index j0, Index count, float* row) const {
    const Index seen = seen_of(i, j0, count);
    if (seen == 0) return lowest;
    if (a.relative_bias) add_bias(row, j0 - place(i), seen);
    return scale_and_find_largest(row, seen, a.relative_bias ? 1.0f : a.scale);
  }

  // Turns them into powers e^(score - largest so far), and those past the last seen into zeros.
  void soften(Index i, Index j0, Index count, float top_here, float* row) {
    const Index stride = round_up(count, width), used = round_up(seen_of(i, j0, count), width);
    const float top = larger_float(largest[i], top_here);
    const bool is_blind = top == lowest;  // nothing seen, here or before
    V sum = S::zero();
    for (Index j = 0; j < used && !is_blind; j += width) {
      const V power = Activations<S>::exp(S::sub(S::load(row + j), S::set(top)));
      sum = S::add(sum, power);
      S::store(row + j, power);
    }
    for (Index j = is_blind ? 0 : used; j < stride; j += width) S::store(row + j, S::zero());
    if (is_blind) return;
    const float total = S::sum(sum);
    if (j0 == 0) {
      sums[i] = total;
    } else {
      const float before = expf(largest[i] - top);
      sums[i] = sums[i] * before + total;
      if (before != 1.0f) scale_gathered(i, before);
    }
    largest[i] = top;
  }

  void scale_gathered(Index i, float factor) {
    float* row = gathered + i * padded;
    for (Index c = 0; c < padded; c += width) S::store(row + c, S::mul(S::load(row + c), S::set(factor)));
  }

  // row *= scale; lanes past `seen` become -infinity.
  static float scale_and_find_largest(float* row, Index seen, float scale) {
    const V factor = S::set(scale);
    V top = S::set(lowest);
    Index j = 0;
    for (; j + width <= seen; j += width) {
      const V score = S::mul(S::load(row + j), factor);
      S::store(row + j, score);
      top = S::max(score, top);
    }
    if (j < seen) {
      const V score = S::mul(S::load(row + j), factor);
      const V masked = S::first(score, static_cast<int>(seen - j), S::set(lowest));
      S::store(row + j, masked);
      top = S::max(masked, top);
    }
    return S::largest(top);
  }

  // row[j] = row[j] * scale + relative_bias[head][clip(distance + j, -span, span) + span].
  void add_bias(float* row, Index distance, Index seen) const {
    const Index span = a.span;
    const float* bias = a.relative_bias + head_index * (2 * span + 1);
    const auto clip = [&](Index j) { return smaller(larger(j, 0), seen); };
    const Index near = clip(-span - distance), far = clip(span + 1 - distance);
    const V factor = S::set(a.scale);
    const auto segment = [&](Index begin, Index end, const float* values, bool is_constant) {
      Index j = begin;
      for (; j + width <= end; j += width) {
        const V value = is_constant ? S::set(*values) : S::load(values + j);
        S::store(row + j, S::fma(S::load(row + j), factor, value));
      }
      for (; j < end; ++j) row[j] = row[j] * a.scale + (is_constant ? *values : values[j]);
    };
    segment(0, near, bias, true);
    if (near < far) segment(near, far, bias + span + distance, false);
    segment(far, seen, bias + 2 * span, true);
  }

  void write(Index i, bool has_keys) const {
    float* out = out_row(i);
    const float* from = gathered + i * padded;
    const bool is_zero = !has_keys || sums[i] == 0.0f;
    const V factor = S::set(is_zero ? 0.0f : 1.0f / sums[i]);
    for (Index c = 0; c < head_size; c += width) {
      const V value = is_zero ? S::zero() : S::mul(S::load(from + c), factor);
      S::store_first(out + c, value, static_cast<int>(smaller(width, head_size - c)));
    }
  }

  static constexpr float lowest = -HUGE_VALF;

  const AttentionArguments& a;
  const Index head_size, padded, head_index;
  const Index first_query, queries, first_key, keys, first_place;
  const bool is_direct;
  const float *q, *k, *v;
  float *k_panels, *v_rows, *scores, *gathered, *largest, *sums;
};

}  // namespace panpipe
