// Linear layers: out = activation(x @ weight^T + bias) + residual.
//
// x [tokens, inputs] and out [tokens, outputs], rows at a stride. weight in panels of S::tile_vectors vectors of
// outputs, inputs in turn (PackedWeight in engine.h), packed once at load.
//
// Blocking: a register tile of up to S::tile_rows rows by one panel. Rows come in blocks of at most `block_tiles`
// tiles, cut so that the tiles' heights differ by one at most: there is no thin remainder. Inputs come in slices of
// `depth`: a slice of the block's rows stays in the L2 cache while the panels go by, and each slice of a panel is fetched
// by the tiles of the slice before it, so that memory never rests while the caches are read again. A tile alone fetches
// a little ahead of itself. Between slices the sums wait in `out`; activation and residual are applied to a tile as it is
// written for the last time. With one to three rows, several panels are taken at once, or the chains of sums would be too
// few to fill the FMA units.
//
// Bound: compute for more than about 20 rows; below, the rate at which memory yields the weights.
#pragma once

#include "../engine.h"
#include "../half.h"
#include "../portable.h"
#include "../threads.h"
#include "activation.h"
#include "tile.h"

namespace panpipe {

template <class S>
struct Gemm {
  using V = typename S::Vector;
  static constexpr int vectors = S::tile_vectors;
  static constexpr int panel_width = vectors * S::width;
  static constexpr Index depth = 768;     // inputs per slice
  static constexpr Index block_tiles = 8;  // tiles of rows per block
  static constexpr Index few_tiles = 4;    // up to here the weights come from memory rather than from the cache
  static constexpr Index near_bytes = 12288;  // how far ahead of itself a tile alone fetches

  // -- one tile ------------------------------------------------------------------------------------------------------

  // out = activation(sums) + residual over a tile whose sums lie in `sums`, row by row, `width` values apart.
  template <Activation activation>
  static PANPIPE_NO_INLINE void finish(const LinearArguments& linear, Index row, Index rows, Index column,
                                       Index columns, const float* sums, Index width) {
    for (Index r = row; r < row + rows; ++r, sums += width) {
      float* out = linear.out + r * linear.out_stride + column;
      const float* residual = linear.residual ? linear.residual + r * linear.residual_stride + column : nullptr;
      Index c = 0;
      for (; c + S::width <= columns; c += S::width) {
        const V value = Activations<S>::template apply<activation>(S::load(sums + c));
        S::store(out + c, residual ? S::add(value, S::load(residual + c)) : value);
      }
      const int rest = static_cast<int>(columns - c);
      if (rest > 0) {
        const V value = Activations<S>::template apply<activation>(S::load(sums + c));
        S::store_first(out + c, residual ? S::add(value, S::load_first(residual + c, rest)) : value, rest);
      }
    }
  }

  static void finish_tile(const LinearArguments& linear, Index row, Index rows, Index column, Index columns,
                          const float* sums, Index width) {
    switch (linear.activation) {
      case Activation::none: return finish<Activation::none>(linear, row, rows, column, columns, sums, width);
      case Activation::gelu: return finish<Activation::gelu>(linear, row, rows, column, columns, sums, width);
      case Activation::gelu_tanh: return finish<Activation::gelu_tanh>(linear, row, rows, column, columns, sums, width);
      case Activation::relu: return finish<Activation::relu>(linear, row, rows, column, columns, sums, width);
      case Activation::silu: return finish<Activation::silu>(linear, row, rows, column, columns, sums, width);
      case Activation::tanh: return finish<Activation::tanh>(linear, row, rows, column, columns, sums, width);
    }
  }

  // Rows row ... row + R - 1 by panel ... panel + P - 1, inputs k_begin ... k_end - 1.
  template <int R, int P>
  static PANPIPE_NO_INLINE void tile(const LinearArguments& linear, Index k_begin, Index k_end, Index row, Index panel,
                                     Ahead ahead) {
    const PackedWeight& weight = *linear.weight;
    const Index panel_size = weight.inputs * panel_width;
    for (int r = 0; r < R; ++r) expect(linear, row + r, panel * panel_width, P);
    V acc[P][R][vectors];
    PANPIPE_UNROLL
    for (int p = 0; p < P; ++p) {
      const Index column = (panel + p) * panel_width;
      PANPIPE_UNROLL
      for (int r = 0; r < R; ++r) {
        PANPIPE_UNROLL
        for (int v = 0; v < vectors; ++v) {
          if (k_begin > 0) {
            acc[p][r][v] = load_out(linear, row + r, column + v * S::width);
          } else {
            acc[p][r][v] = weight.bias ? S::load(weight.bias + column + v * S::width) : S::zero();
          }
        }
      }
    }
    const float* a = linear.x.data + row * linear.x.stride + k_begin;
    const float* b = weight.panels + panel * panel_size + k_begin * panel_width;
    if constexpr (P == 1) {
      multiply_tile<S, R, vectors>(a, linear.x.stride, b, panel_width, k_end - k_begin, ahead, acc[0]);
    } else {
      for (Index k = 0; k < k_end - k_begin; ++k) {
        PANPIPE_UNROLL
        for (int p = 0; p < P; ++p) {
          multiply_step<S, R, vectors>(a + k, linear.x.stride, b + p * panel_size + k * panel_width, acc[p]);
        }
      }
    }
    const bool is_plain = linear.activation == Activation::none && linear.residual == nullptr;
    if (is_plain || k_end < weight.inputs) {
      PANPIPE_UNROLL
      for (int p = 0; p < P; ++p) {
        PANPIPE_UNROLL
        for (int r = 0; r < R; ++r) {
          PANPIPE_UNROLL
          for (int v = 0; v < vectors; ++v) {
            store_out(linear, row + r, (panel + p) * panel_width + v * S::width, acc[p][r][v]);
          }
        }
      }
    } else {
      // By way of a place that is always in the L1 cache: `out` may not be yet, and is written once only.
      alignas(64) float sums[R][P * panel_width];
      PANPIPE_UNROLL
      for (int p = 0; p < P; ++p) {
        PANPIPE_UNROLL
        for (int r = 0; r < R; ++r) {
          PANPIPE_UNROLL
          for (int v = 0; v < vectors; ++v) S::store(sums[r] + p * panel_width + v * S::width, acc[p][r][v]);
        }
      }
      const Index column = panel * panel_width;
      finish_tile(linear, row, R, column, smaller(P * panel_width, weight.outputs - column), sums[0], P * panel_width);
    }
  }

  // Brings what will be written (and what will be added to it) near while the sums are made: stores that miss the cache
  // would otherwise be waited for one after another. Past the last output this asks for a line too many, harmlessly.
  static PANPIPE_INLINE void expect(const LinearArguments& linear, Index row, Index column, Index panels) {
    constexpr Index line = 64 / sizeof(float);
    const float* out = linear.out + row * linear.out_stride + column;
    for (Index i = 0; i < panels * panel_width; i += line) S::prefetch_to_write(out + i);
    if (linear.residual == nullptr) return;
    const float* residual = linear.residual + row * linear.residual_stride + column;
    for (Index i = 0; i < panels * panel_width; i += line) S::prefetch(residual + i);
  }

  static PANPIPE_INLINE V load_out(const LinearArguments& linear, Index row, Index column) {
    const Index outputs = linear.weight->outputs, lanes = outputs - column;
    const float* out = linear.out + row * linear.out_stride + column;
    if (lanes >= S::width) return S::load(out);
    return lanes > 0 ? S::load_first(out, static_cast<int>(lanes)) : S::zero();
  }

  static PANPIPE_INLINE void store_out(const LinearArguments& linear, Index row, Index column, V value) {
    const Index outputs = linear.weight->outputs, lanes = outputs - column;
    float* out = linear.out + row * linear.out_stride + column;
    if (lanes >= S::width) {
      S::store(out, value);
    } else if (lanes > 0) {
      S::store_first(out, value, static_cast<int>(lanes));
    }
  }

  using TileFunction = void (*)(const LinearArguments&, Index k_begin, Index k_end, Index row, Index panel,
                                Ahead ahead);

  template <int R>
  static TileFunction tile_of(Index rows) {
    if constexpr (R == 0) {
      return nullptr;
    } else {
      return rows == R ? &tile<R, 1> : tile_of<R - 1>(rows);
    }
  }

  // -- a block of rows by a range of panels --------------------------------------------------------------------------

  struct Block {
    Index row_begin, row_end, panel_begin, panel_end;
  };

  static void compute(const LinearArguments& linear, const Block& block) {
    const Index rows = block.row_end - block.row_begin, inputs = linear.weight->inputs;
    Index panel = block.panel_begin;
    if (rows <= 3) {
      const Index at_once = rows == 1 ? 4 : 2;
      const TileFunction several = rows == 1 ? &tile<1, 4> : rows == 2 ? &tile<2, 2> : &tile<3, 2>;
      for (; panel + at_once <= block.panel_end; panel += at_once) {
        several(linear, 0, inputs, block.row_begin, panel, {nullptr, 0});
      }
    }
    const Index tiles = ceil_div(rows, S::tile_rows), slices = larger(1, ceil_div(inputs, depth));
    if (tiles <= few_tiles) {  // weights in the order in which they lie in memory
      for (; panel < block.panel_end; ++panel) {
        for (Index s = 0; s < slices; ++s) {
          const Index next = panel * slices + s + 1;  // also past the block's end: as a rule the thread's next block
          compute_slice(linear, block, tiles, panel, s, next < linear.weight->num_panels * slices ? next : no_next);
        }
      }
    } else {  // a slice of the rows stays while the panels go by
      for (Index s = 0; s < slices; ++s) {
        for (Index p = panel; p < block.panel_end; ++p) {
          // After the last panel the first one's next slice, or its first, for the next block of rows.
          const Index next = p + 1 < block.panel_end ? (p + 1) * slices + s : panel * slices + (s + 1) % slices;
          compute_slice(linear, block, tiles, p, s, next);
        }
      }
    }
  }

  static constexpr Index no_next = -1;

  // All rows of the block by one slice of one panel. Meanwhile each tile fetches its share of the slice that comes
  // `next`, counted over all panels; a tile alone fetches what it will itself need `near_bytes` later.
  static void compute_slice(const LinearArguments& linear, const Block& block, Index tiles, Index panel, Index slice,
                            Index next) {
    const Index rows = block.row_end - block.row_begin, low = rows / tiles, num_high = rows % tiles;
    const Index inputs = linear.weight->inputs, slices = larger(1, ceil_div(inputs, depth));
    const Index k_begin = slice * depth, k_end = smaller(k_begin + depth, inputs);
    constexpr Index lines_per_step = 4 * panel_width * sizeof(float) / 64;
    const int lines = next == no_next ? 0 : static_cast<int>(ceil_div(lines_per_step, tiles));
    const Index share = lines * 64 * ((k_end - k_begin) / 4);
    const Index begin = tiles == 1 ? panel * inputs + k_begin : next / slices * inputs + next % slices * depth;
    const float* from = linear.weight->panels + begin * panel_width;
    Ahead ahead{reinterpret_cast<const char*>(from) + (tiles == 1 ? near_bytes : 0), lines};
    const TileFunction high_tile = tile_of<S::tile_rows>(low + 1), low_tile = tile_of<S::tile_rows>(low);
    Index row = block.row_begin;
    for (Index t = 0; t < tiles; ++t, ahead.next += share) {
      const bool is_high = t < num_high;
      (is_high ? high_tile : low_tile)(linear, k_begin, k_end, row, panel, ahead);
      row += low + is_high;
    }
  }

  // -- the whole, over threads ---------------------------------------------------------------------------------------

  static void linear(const LinearArguments& linear) {
    const Index rows = linear.x.rows, panels = linear.weight->num_panels;
    if (rows == 0 || panels == 0) return;
    const Index row_parts = ceil_div(rows, block_tiles * S::tile_rows);
    const Index panel_parts = num_panel_parts(rows, row_parts, linear.weight->inputs, panels);
    parallel_for(static_cast<int>(row_parts * panel_parts), [&](int part) {
      const Index i = part % row_parts, j = part / row_parts;  // a thread stays with its panels: L3 keeps them
      compute(linear, {part_begin(rows, row_parts, i), part_begin(rows, row_parts, i + 1),
                       part_begin(panels, panel_parts, j), part_begin(panels, panel_parts, j + 1)});
    });
  }

  // A part is worth some ten microseconds of computing or of reading memory, so that handing it to another thread pays,
  // and at least four panels where there are many rows, so that these are read from far away less often.
  static Index num_panel_parts(Index rows, Index row_parts, Index inputs, Index panels) {
    constexpr Index operations_per_part = 2000000, bytes_per_part = 250000;
    const Index operations = 2 * rows / row_parts * inputs * panels * panel_width;
    const Index bytes = inputs * panels * panel_width * static_cast<Index>(sizeof(float));
    const Index wanted = larger(operations / operations_per_part, row_parts == 1 ? bytes / bytes_per_part : 0);
    const Index most = rows > few_tiles * S::tile_rows ? ceil_div(panels, 4) : panels;
    return smaller(most, larger(1, wanted));
  }

  // -- packing -------------------------------------------------------------------------------------------------------

  template <class Value, class Convert>
  static void pack_panel(const Value* values, const Source& source, PackedWeight& weight, Index panel,
                         Convert convert) {
    const Index first = panel * panel_width;
    const Index lanes = smaller(panel_width, weight.outputs - first);
    float* to = weight.panels + first * weight.inputs;
    constexpr Index strip = 16;  // inputs at a time: one cache line of each output's row
    for (Index k0 = 0; k0 < weight.inputs; k0 += strip) {
      const Index k1 = smaller(k0 + strip, weight.inputs);
      for (Index lane = 0; lane < lanes; ++lane) {
        const Value* row = values + (first + lane) * source.row_stride;
        for (Index k = k0; k < k1; ++k) to[k * panel_width + lane] = convert(row[k * source.column_stride]);
      }
      for (Index k = k0; k < k1; ++k) {
        for (Index lane = lanes; lane < panel_width; ++lane) to[k * panel_width + lane] = 0.0f;
      }
    }
  }

  static void pack(const Source& source, PackedWeight& weight) {
    parallel_for(static_cast<int>(weight.num_panels), [&](int panel) {
      if (source.half) {
        pack_panel(static_cast<const std::uint16_t*>(source.data), source, weight, panel,
                   [](std::uint16_t value) { return half_to_float(value); });
      } else {
        pack_panel(static_cast<const float*>(source.data), source, weight, panel, [](float value) { return value; });
      }
    });
  }

  static void unpack(const PackedWeight& weight, float* out) {
    for (Index o = 0; o < weight.outputs; ++o) {
      const float* panel = weight.panels + o / panel_width * panel_width * weight.inputs + o % panel_width;
      for (Index k = 0; k < weight.inputs; ++k) out[o * weight.inputs + k] = panel[k * panel_width];
    }
  }
};

}  // namespace panpipe
