// Linear layers: out = activation(x @ weight^T + bias) + residual.
//
// x [tokens, inputs], rows at a stride. weight in panels of S::tile_vectors vectors of outputs, inputs in turn
// (PackedWeight in engine.h), packed once at load. out [tokens, outputs].
//
// Blocking: a register tile of up to S::tile_rows rows by one panel; the rows of a block are cut into tiles whose
// heights differ by one at most, so there is no thin remainder. A block of rows meets a panel in slices of `depth`
// inputs: the slice of the panel is read from memory by the first tile and from the L1/L2 cache by the others, and the
// block's rows stay in L2. Sums wait in `out` between slices; the last slice adds bias, activation and residual in
// registers. With one to three rows, several panels are taken at once, or the chains of sums would be too few to fill
// the FMA units. While few rows are computed, the panel's next slice is fetched ahead.
//
// Bound: compute for more than ~20 rows; below, the rate at which memory yields the weights.
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
  static constexpr Index depth = 384;   // inputs per slice
  static constexpr int block_tiles = 8;          // tiles of rows per block
  static constexpr int few_tiles = 4;            // up to here weights come from memory rather than from the cache

  // -- one tile ------------------------------------------------------------------------------------------------------

  struct Slice {
    const LinearArguments* linear;
    Index k_begin, k_end;
    Prefetch prefetch;
  };

  // What follows the sums, over a tile that still lies in the L1 cache.
  template <Activation activation>
  static PANPIPE_NO_INLINE void finish(const LinearArguments& linear, Index row, Index rows,
                                       Index column, Index columns) {
    for (Index r = row; r < row + rows; ++r) {
      float* out = linear.out + r * linear.weight->outputs + column;
      const float* residual = linear.residual ? linear.residual + r * linear.residual_stride + column : nullptr;
      Index c = 0;
      for (; c + S::width <= columns; c += S::width) {
        const V value = Activations<S>::template apply<activation>(S::load(out + c));
        S::store(out + c, residual ? S::add(value, S::load(residual + c)) : value);
      }
      const int rest = static_cast<int>(columns - c);
      if (rest > 0) {
        const V value = Activations<S>::template apply<activation>(S::load_first(out + c, rest));
        S::store_first(out + c, residual ? S::add(value, S::load_first(residual + c, rest)) : value, rest);
      }
    }
  }

  static void finish_tile(const LinearArguments& linear, Index row, Index rows, Index column,
                          Index columns) {
    switch (linear.activation) {
      case Activation::none:
        if (linear.residual) finish<Activation::none>(linear, row, rows, column, columns);
        return;
      case Activation::gelu: return finish<Activation::gelu>(linear, row, rows, column, columns);
      case Activation::gelu_tanh: return finish<Activation::gelu_tanh>(linear, row, rows, column, columns);
      case Activation::relu: return finish<Activation::relu>(linear, row, rows, column, columns);
      case Activation::silu: return finish<Activation::silu>(linear, row, rows, column, columns);
      case Activation::tanh: return finish<Activation::tanh>(linear, row, rows, column, columns);
    }
  }

  // Rows row ... row + R - 1 by panel ... panel + P - 1, inputs of one slice.
  template <int R, int P>
  static PANPIPE_NO_INLINE void tile(const Slice& slice, Index row, Index panel) {
    const LinearArguments& linear = *slice.linear;
    const PackedWeight& weight = *linear.weight;
    const bool is_first = slice.k_begin == 0;
    const Index panel_size = weight.inputs * panel_width;
    V acc[P][R][vectors];
    PANPIPE_UNROLL
    for (int p = 0; p < P; ++p) {
      const Index column = (panel + p) * panel_width;
      PANPIPE_UNROLL
      for (int r = 0; r < R; ++r) {
        PANPIPE_UNROLL
        for (int v = 0; v < vectors; ++v) {
          if (is_first) {
            acc[p][r][v] = weight.bias ? S::load(weight.bias + column + v * S::width) : S::zero();
          } else {
            acc[p][r][v] = load_out(linear, row + r, column + v * S::width);
          }
        }
      }
    }
    const float* a = linear.x.data + row * linear.x.stride + slice.k_begin;
    const float* b = weight.panels + panel * panel_size + slice.k_begin * panel_width;
    const Index count = slice.k_end - slice.k_begin;
    if constexpr (P == 1) {
      multiply_tile<S, R, vectors>(a, linear.x.stride, b, panel_width, count, slice.prefetch, acc[0]);
    } else {
      for (Index k = 0; k < count; ++k) {
        PANPIPE_UNROLL
        for (int p = 0; p < P; ++p) {
          const float* row_of_panel = b + p * panel_size + k * panel_width;
          S::prefetch(row_of_panel + 16 * panel_width);
          S::prefetch(row_of_panel + 16 * panel_width + 16);
          multiply_step<S, R, vectors>(a + k, linear.x.stride, row_of_panel, acc[p]);
        }
      }
    }
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
    if (slice.k_end == weight.inputs) {
      const Index column = panel * panel_width;
      finish_tile(linear, row, R, column, smaller(P * panel_width, weight.outputs - column));
    }
  }

  static PANPIPE_INLINE V load_out(const LinearArguments& linear, Index row, Index column) {
    const Index outputs = linear.weight->outputs, lanes = outputs - column;
    const float* out = linear.out + row * outputs + column;
    if (lanes >= S::width) return S::load(out);
    return lanes > 0 ? S::load_first(out, static_cast<int>(lanes)) : S::zero();
  }

  static PANPIPE_INLINE void store_out(const LinearArguments& linear, Index row, Index column, V value) {
    const Index outputs = linear.weight->outputs, lanes = outputs - column;
    float* out = linear.out + row * outputs + column;
    if (lanes >= S::width) {
      S::store(out, value);
    } else if (lanes > 0) {
      S::store_first(out, value, static_cast<int>(lanes));
    }
  }

  using TileFunction = void (*)(const Slice&, Index row, Index panel);

  template <int R>
  static TileFunction tile_of(int rows) {
    if constexpr (R == 0) {
      return nullptr;
    } else {
      return rows == R ? &tile<R, 1> : tile_of<R - 1>(rows);
    }
  }

  // -- a block of rows by a range of panels --------------------------------------------------------------------------

  // Panels computed at once for this many rows.
  static constexpr int panels_at_once(Index rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }

  static void block(const LinearArguments& linear, Index row_begin, Index row_end,
                    Index panel_begin, Index panel_end) {
    const Index rows = row_end - row_begin;
    Index panel = panel_begin;
    const int at_once = panels_at_once(rows);
    if (at_once > 1) {
      const Slice all{&linear, 0, linear.weight->inputs, {nullptr, 0}};
      const TileFunction several = rows == 1 ? &tile<1, 4> : rows == 2 ? &tile<2, 2> : &tile<3, 2>;
      for (; panel + at_once <= panel_end; panel += at_once) several(all, row_begin, panel);
    }
    for (; panel < panel_end; ++panel) one_panel(linear, row_begin, rows, panel);
  }

  static void one_panel(const LinearArguments& linear, Index row_begin, Index rows,
                        Index panel) {
    const PackedWeight& weight = *linear.weight;
    const Index tiles = ceil_div(rows, S::tile_rows);
    const Index slices = larger(1, ceil_div(weight.inputs, depth));
    // Few tiles: each asks for its share of the slice after this one (which the panel's memory continues with).
    const int lines_per_4 = 4 * panel_width * 4 / 64;
    const int lines = tiles <= few_tiles ? static_cast<int>(ceil_div(lines_per_4, tiles)) : 0;
    const TileFunction high = tile_of<S::tile_rows>(static_cast<int>(ceil_div(rows, tiles)));
    const TileFunction low = tile_of<S::tile_rows>(static_cast<int>(rows / tiles));
    for (Index s = 0; s < slices; ++s) {
      Slice slice{&linear, s * depth, smaller((s + 1) * depth, weight.inputs), {nullptr, lines}};
      const float* next = weight.panels + (panel * weight.inputs + slice.k_end) * panel_width;
      Index row = row_begin;
      for (Index t = 0; t < tiles; ++t) {
        slice.prefetch.next = reinterpret_cast<const char*>(next) + t * lines * 64 * ((slice.k_end - slice.k_begin) / 4);
        const bool is_high = t < rows % tiles;
        (is_high ? high : low)(slice, row, panel);
        row += rows / tiles + is_high;
      }
    }
  }

  // -- the whole, over threads ---------------------------------------------------------------------------------------

  static void linear(const LinearArguments& linear) {
    const Index rows = linear.x.rows, panels = linear.weight->num_panels;
    if (rows == 0 || panels == 0) return;
    const Index block_rows = block_tiles * S::tile_rows;
    const Index row_parts = ceil_div(rows, block_rows);
    // Tiles, not rows, are shared out, so that every block but the last few rows is made of full tiles.
    const double operations = 2.0 * static_cast<double>(rows) * static_cast<double>(linear.weight->inputs) *
                              static_cast<double>(panels) * panel_width;
    // A part is worth about 4 million operations (20 microseconds): small enough to balance, large enough to hand over.
    const double wanted = operations / 4e6;
    const Index panel_parts =
        smaller(panels, larger(1, static_cast<Index>(wanted / static_cast<double>(row_parts))));
    const Index parts = row_parts * panel_parts;
    parallel_for(static_cast<int>(parts), [&](int part) {
      const Index i = part / panel_parts, j = part % panel_parts;
      block(linear, part_begin(rows, row_parts, i), part_begin(rows, row_parts, i + 1), part_begin(panels, panel_parts, j),
            part_begin(panels, panel_parts, j + 1));
    });
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
