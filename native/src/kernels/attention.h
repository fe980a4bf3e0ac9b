// Attention: softmax(scale * q @ k^T + bias) @ v for every sequence and head of a ragged batch.
//
// q [q_tokens, num_heads * head_size]; k, v [kv_tokens, num_kv_heads * head_size]; rows at a stride, so all three may be
// slices of one matrix; or k and v in blocks (see AttentionArguments). out [q_tokens, num_heads * head_size].
//
// A unit of work is one head of one item: a stretch of the queries of one sequence. Keys are
// taken in blocks of `block_keys`: their rows are laid out anew as panels (k transposed, v with a whole number of
// vectors), and tiles of up to S::tile_rows queries multiply them with the register tile of tile.h. Scores of a tile
// stay in the L1 cache between the two products. Over more than one block the softmax runs (attention_rows.h). Where a
// sequence has few queries the laying out would cost more than it saves: those go the way of attention_few.h.
//
// Bound: compute.
#pragma once

#include <cstring>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"
#include "attention_few.h"
#include "attention_rows.h"
#include "tile.h"

namespace panpipe {

template <class S>
class Attention {
  using V = typename S::Vector;
  using Softmax = RunningSoftmax<S>;
  using Line = typename Softmax::Line;
  using Range = typename Softmax::Range;
  static constexpr int width = S::width;
  static constexpr int tile_rows = S::tile_rows;
  static constexpr int vectors = S::tile_vectors;
  static constexpr int panel_width = vectors * width;
  static constexpr Index block_keys = 256;
  static constexpr Index few_queries = 3, few_queries_in_blocks = 16;
  static_assert(block_keys % panel_width == 0, "a block of keys is a whole number of panels");
  static_assert(vectors == 2, "the last panel of a block has one vector or two");
  static_assert(few_queries_in_blocks <= FewQueries<S>::most_lines, "few queries fit");

 public:
  // A part is worth a microsecond or two, so that handing it to another thread pays; and several heads of the same few
  // queries, which lie side by side in every row, unless a thread would have nothing to do.
  static void attention(const AttentionArguments& a) {
    constexpr Index work_per_part = 100000, heads_together = 4;
    Index work = 0;
    bool all_few = true;
    for (int i = 0; i < a.num_items; ++i) {
      work += 2 * a.items[i].queries * KeyRows<S>(a, a.items[i].sequence).size() * a.q.columns;
      all_few = all_few && is_few(a, a.items[i]);
    }
    const Index heads = a.num_heads, units = a.num_items * heads, threads = num_threads();
    if (units == 0) return;
    const Index most = all_few ? smaller(units, larger(units / heads_together, threads)) : units;
    Index parts = smaller(most, larger(1, work / work_per_part));
    if (parts > threads) parts = parts / threads * threads;  // as many for each
    parallel_for(static_cast<int>(parts), [&](int part) {
      const Index end = part_begin(units, parts, part + 1);
      for (Index unit = part_begin(units, parts, part); unit < end;) {
        const AttentionItem& item = a.items[unit / heads];
        unit += take_heads(a, item, unit % heads, smaller(end - unit, heads - unit % heads));
      }
    });
  }

 private:
  static Index queries_of(const AttentionArguments& a, const AttentionItem& item) {
    return a.q_offsets[item.sequence + 1] - a.q_offsets[item.sequence];
  }
  static bool is_few(const AttentionArguments& a, const AttentionItem& item) {
    return queries_of(a, item) <= (a.tables ? few_queries_in_blocks : few_queries);
  }

  // As many of the `most` heads from `head` on as can be done at once; how many that were.
  static Index take_heads(const AttentionArguments& a, const AttentionItem& item, Index head, Index most) {
    if (!is_few(a, item)) {
      Attention(a, item, static_cast<int>(head)).run();
      return 1;
    }
    const Index heads = smaller(most, FewQueries<S>::most_lines / queries_of(a, item));
    FewQueries<S>(a, item, head, heads).run();
    return heads;
  }

  // -- one head of one item ------------------------------------------------------------------------------------------

  Attention(const AttentionArguments& arguments, const AttentionItem& item, int head)
      : a(arguments),
        rows(a, item.sequence),
        head_size(a.head_size),
        padded(round_up(head_size, width)),
        head_index(head),
        column(head / (a.num_heads / a.num_kv_heads) * head_size),
        first_query(item.first_query),
        queries(item.queries),
        keys(rows.size()),
        first_place(keys - (a.q_offsets[item.sequence + 1] - first_query)),
        q(a.q.data + first_query * a.q.stride + head * head_size) {
    // Everything a chunk needs, in one piece of scratch memory; each part is a whole number of vectors.
    const Index block = smaller(round_up(keys, panel_width), block_keys);
    float* memory = scratch(static_cast<std::size_t>(2 * block * padded + tile_rows * block + queries * padded));
    k_panels = memory;
    v_rows = k_panels + block * padded;
    scores = v_rows + block * padded;
    gathered = scores + tile_rows * block;
  }

  void run() {
    for (Index i = 0; i < queries; ++i) {
      lines[i] = Softmax::begin(a, a.q_positions ? a.q_positions[first_query + i] : first_place + i, head_index);
    }
    std::memset(gathered, 0, static_cast<std::size_t>(queries * padded) * sizeof(float));
    const Range all = Softmax::seen_by_any(a, lines, queries, keys);
    for (Index j = all.begin; j < all.end; j += block_keys) take_block(j, smaller(j + block_keys, all.end), all.end);
    for (Index i = 0; i < queries; ++i) Softmax::write(lines[i], gathered + i * padded, head_size, out_row(i));
  }

  // Keys j0 ... j1 - 1 of those up to `last`.
  void take_block(Index j0, Index j1, Index last) {
    const Index padded_count = round_up(j1 - j0, width);
    rows.list(a.k, a.v, column, j0, j1, padded_count, key_rows, value_rows);
    lay_out_keys(padded_count);
    lay_out_values(j1 - j0);
    const Index tiles = ceil_div(queries, tile_rows);
    for (Index t = 0; t < tiles; ++t) {
      const Index i0 = part_begin(queries, tiles, t), i1 = part_begin(queries, tiles, t + 1);
      expect(t, tiles, i0, i1, j0, j1, last);
      const Range seen = Softmax::seen_by_any(a, lines + i0, i1 - i0, keys);
      const Index end = smaller(j1, seen.end);
      if (seen.begin < j1 && end > j0) take_tile(i0, static_cast<int>(i1 - i0), j0, end);
    }
  }

  // Asks for what the next block or else the next head will read, a share with each tile, and for the tile's place in
  // `out`. A head's columns are a few lines of every row: no processor would guess them by itself.
  PANPIPE_INLINE void expect(Index tile, Index tiles, Index i0, Index i1, Index j0, Index j1, Index last) const {
    if (j1 < last) {
      const Index count = smaller(last - j1, block_keys);
      for (Index n = part_begin(count, tiles, tile); n < part_begin(count, tiles, tile + 1); ++n) {
        const Index row = rows.row(j1 + n);
        fetch(a.k.data + row * a.k.stride + column);
        fetch(a.v.data + row * a.v.stride + column);
      }
      return;
    }
    for (Index i = i0; i < i1; ++i) fetch_to_write(out_row(i));
    if (head_index + 1 == a.num_heads) return;
    const bool is_new = (head_index + 1) % (a.num_heads / a.num_kv_heads) == 0;
    for (Index n = part_begin(j1 - j0, tiles, tile); is_new && n < part_begin(j1 - j0, tiles, tile + 1); ++n) {
      fetch(key_rows[n] + head_size);
      fetch(value_rows[n] + head_size);
    }
    for (Index i = i0; i < i1; ++i) fetch(q + i * a.q.stride + head_size);
  }

  static constexpr Index line = 64 / sizeof(float);
  PANPIPE_INLINE void fetch(const float* row) const {
    for (Index i = 0; i < head_size; i += line) S::prefetch_far(row + i);
  }
  PANPIPE_INLINE void fetch_to_write(const float* row) const {
    for (Index i = 0; i < head_size; i += line) S::prefetch_to_write(row + i);
  }
  float* out_row(Index i) const {
    return a.out + (first_query + i) * a.num_heads * head_size + head_index * head_size;
  }

  void take_tile(Index i0, int tile, Index j0, Index j1) {
    const Index count = j1 - j0, stride = round_up(count, width);
    const float* rows_of_q = q + i0 * a.q.stride;
    for (Index j = 0; j < count; j += panel_width) {
      const bool is_full = stride - j >= panel_width;
      product(tile, is_full)(rows_of_q, a.q.stride, k_panels + j * head_size, panel_width, head_size, scores + j, stride,
                             false);
    }
    // In two rounds: what is done to one row is one long chain, and rows done together hide each other's waits.
    float tops[tile_rows];
    Range seen[tile_rows];
    for (int r = 0; r < tile; ++r) {
      seen[r] = Softmax::within(Softmax::seen(a, lines[i0 + r].place, keys), j0, count);
      tops[r] = Softmax::prepare(a, lines[i0 + r], j0, seen[r], scores + r * stride);
    }
    for (int r = 0; r < tile; ++r) {
      Softmax::soften(lines[i0 + r], seen[r], stride, tops[r], scores + r * stride, gathered + (i0 + r) * padded,
                      padded);
    }
    for (Index c = 0; c < padded; c += panel_width) {  // gathered += powers @ values
      product(tile, padded - c >= panel_width)(scores, stride, v_rows + c, padded, count, gathered + i0 * padded + c,
                                               padded, true);
    }
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

  // -- laying out ----------------------------------------------------------------------------------------------------

  // k_panels[panel][i][key of the panel] = key_rows[key][i]. Keys past the last repeat it; their scores are never used.
  void lay_out_keys(Index padded_count) {
    for (Index j = 0; j < padded_count; j += width) {
      float* to = k_panels + j / panel_width * panel_width * head_size + j % panel_width;
      const float* from[width];
      for (int n = 0; n < width; ++n) from[n] = key_rows[j + n];
      Index i = 0;
      for (; i + width <= head_size; i += width) {
        S::transpose(from, to + i * panel_width, panel_width);
        for (int n = 0; n < width; ++n) from[n] += width;
      }
      for (Index rest = 0; i < head_size; ++i, ++rest) {
        for (int n = 0; n < width; ++n) to[i * panel_width + n] = from[n][rest];
      }
    }
  }

  void lay_out_values(Index count) {
    float* to = v_rows;
    for (Index j = 0; j < count; ++j, to += padded) {
      const float* row = value_rows[j];
      Index i = 0;
      for (; i + width <= head_size; i += width) S::store(to + i, S::load(row + i));
      if (const int rest = static_cast<int>(head_size - i)) S::store(to + i, S::load_first(row + i, rest));
    }
  }

  const AttentionArguments& a;
  const KeyRows<S> rows;
  const Index head_size, padded, head_index, column;
  const Index first_query, queries, keys, first_place;
  const float* q;
  float *k_panels, *v_rows, *scores, *gathered;
  const float *key_rows[block_keys], *value_rows[block_keys];
  Line lines[AttentionItem::most_queries];
};

}  // namespace panpipe
