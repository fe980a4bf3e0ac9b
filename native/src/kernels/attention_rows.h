// What both ways of attention share: where the keys and values of a sequence lie, and the running softmax.
//
// The running softmax takes keys block by block: each query keeps its largest score and its sum so far, and what it has
// gathered is scaled when a larger score comes (Milakov & Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022,
// arXiv:2205.14135).
#pragma once

#include <math.h>

#include "../engine.h"
#include "../portable.h"
#include "activation.h"

namespace panpipe {

// The rows of one sequence's keys: end to end, or in the blocks of its table. (A template like all else here, so that
// each instruction set has its own.)
template <class S>
class KeyRows {
 public:
  KeyRows(const AttentionArguments& a, Index sequence) {
    if (a.tables) {
      table = a.tables + sequence * a.table_stride;
      block_size = static_cast<std::uint32_t>(a.block_size);
      count = a.kv_lengths[sequence];
    } else {
      first = a.kv_offsets[sequence];
      count = a.kv_offsets[sequence + 1] - first;
    }
  }

  Index size() const { return count; }

  Index row(Index j) const {
    if (!table) return first + j;
    const auto place = static_cast<std::uint32_t>(j);
    return Index{table[place / block_size]} * block_size + place % block_size;
  }

  // Where the keys j0 ... j1 - 1 and their values begin; then the last again until there are `padded`.
  void list(const Matrix& k, const Matrix& v, Index column, Index j0, Index j1, Index padded, const float** keys,
            const float** values) const {
    const Index step = table ? block_size : j1 - j0;
    Index n = 0;
    for (Index j = j0; j < j1;) {
      const Index end = table ? smaller(j1, (j / step + 1) * step) : j1, r = row(j);
      const float *key = k.data + r * k.stride + column, *value = v.data + r * v.stride + column;
      for (; j < end; ++j, ++n, key += k.stride, value += v.stride) keys[n] = key, values[n] = value;
    }
    for (; n < padded; ++n) keys[n] = keys[n - 1], values[n] = values[n - 1];
  }

 private:
  const std::int32_t* table = nullptr;
  std::uint32_t block_size = 1;
  Index first = 0, count = 0;
};

template <class S>
struct RunningSoftmax {
  using V = typename S::Vector;
  static constexpr int width = S::width;
  static constexpr Index run_keys = 32;
  static constexpr float lowest = -HUGE_VALF;

  // One query of one head on its way through the keys.
  struct Line {
    Index place;        // among the keys
    const float* bias;  // the head's relative bias, or null
    float largest, sum;
  };

  static Line begin(const AttentionArguments& a, Index place, Index head) {
    const float* bias = a.relative_bias ? a.relative_bias + head * (2 * Index{a.span} + 1) : nullptr;
    return {place, bias, lowest, 0.0f};
  }

  // Some keys, by their places: begin ... end - 1, which may be none.
  struct Range {
    Index begin, end;
  };

  // Those of `keys` that a query at that place sees.
  static Range seen(const AttentionArguments& a, Index place, Index keys) {
    if (!a.causal) return {0, keys};
    const Index end = smaller(larger(place + 1, 0), keys);
    return {a.window ? smaller(larger(place + 1 - a.window, 0), end) : 0, end};
  }

  // Those that any of `count` lines sees, from a multiple of run_keys on: so a line's sums are made in the same stretches
  // whatever the others see.
  static Range seen_by_any(const AttentionArguments& a, const Line* lines, Index count, Index keys) {
    Range all{keys, 0};
    for (Index i = 0; i < count; ++i) {
      const Range one = seen(a, lines[i].place, keys);
      if (one.begin < one.end) all = {smaller(all.begin, one.begin), larger(all.end, one.end)};
    }
    return {all.begin / run_keys * run_keys, all.end};
  }

  // `range` counted from j0 on, as far as it is among the `count` keys there.
  static Range within(Range range, Index j0, Index count) {
    const Index end = smaller(larger(range.end - j0, 0), count);
    return {smaller(larger(range.begin - j0, 0), end), end};
  }

  // Scales the scores of keys from j0 on as far as they are seen, and adds the bias; their largest. Those before become
  // -infinity, and so do those after in the last vector.
  static float prepare(const AttentionArguments& a, const Line& line, Index j0, Range seen, float* row) {
    if (seen.begin == seen.end) return lowest;
    if (line.bias) add_bias(a, line.bias, row, j0 - line.place, seen.end);
    return scale_and_find_largest(row, seen, line.bias ? 1.0f : a.scale);
  }

  // Turns them into powers e^(score - largest so far), and those past the last seen, up to `stride`, into zeros.
  static void soften(Line& line, Range seen, Index stride, float top_here, float* row, float* gathered,
                     Index gathered_size) {
    const Index used = round_up(seen.end, width);
    const float top = larger_float(line.largest, top_here);
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
    if (line.largest == lowest) {
      line.sum = total;
    } else {
      const float before = expf(line.largest - top);
      line.sum = line.sum * before + total;
      if (before != 1.0f) {
        for (Index c = 0; c < gathered_size; c += width) {
          S::store(gathered + c, S::mul(S::load(gathered + c), S::set(before)));
        }
      }
    }
    line.largest = top;
  }

  // out = gathered / sum; zeros where nothing was seen.
  static void write(const Line& line, const float* gathered, Index head_size, float* out) {
    const V factor = S::set(line.sum == 0.0f ? 0.0f : 1.0f / line.sum);
    for (Index c = 0; c < head_size; c += width) {
      S::store_first(out + c, S::mul(S::load(gathered + c), factor), static_cast<int>(smaller(width, head_size - c)));
    }
  }

 private:
  static float scale_and_find_largest(float* row, Range seen, float scale) {
    const V factor = S::set(scale);
    V top = S::set(lowest);
    Index j = 0;
    for (; j + width <= seen.begin; j += width) S::store(row + j, top);
    if (j < seen.begin) {
      const V score = S::mul(S::load(row + j), factor);
      const V masked = S::first(top, static_cast<int>(seen.begin - j), score);
      S::store(row + j, seen.end - j < width ? S::first(masked, static_cast<int>(seen.end - j), top) : masked);
      top = S::load(row + j);
      j += width;
    }
    for (; j + width <= seen.end; j += width) {
      const V score = S::mul(S::load(row + j), factor);
      S::store(row + j, score);
      top = S::max(score, top);
    }
    if (j < seen.end) {
      const V score = S::mul(S::load(row + j), factor);
      const V masked = S::first(score, static_cast<int>(seen.end - j), S::set(lowest));
      S::store(row + j, masked);
      top = S::max(masked, top);
    }
    return S::largest(top);
  }

  // row[j] = row[j] * scale + bias[clip(distance + j, -span, span) + span].
  static void add_bias(const AttentionArguments& a, const float* bias, float* row, Index distance, Index seen) {
    const Index span = a.span;
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
};

}  // namespace panpipe
