// The `count` largest values of every row, largest first; of equals the one further left first.
//
// x [rows, columns], rows at a stride; values and columns [rows, count].
//
// First each row's values are taken in groups and each group's largest is kept: a strip of `strip` vectors gives as many
// groups as a vector has lanes. The count-th largest of these is a bound: at least `count` values reach it. The strips
// that do are then searched for what is above the bound (which fewer than `count` groups hold) and for the first
// `count` that equal it: so there are at most about strip * count candidates, in whatever order the row is.
// Bound: memory.
#pragma once

#include <math.h>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"

namespace panpipe {

template <class S>
struct Top {
  using V = typename S::Vector;
  static constexpr int width = S::width;
  static constexpr Index strip = 16;
  static constexpr Index strip_size = strip * width;

  // The largest pairs seen so far, the least of them at the root; in it, of equals the one further right.
  class Heap {
   public:
    Heap(float* values, std::int32_t* columns, Index capacity) : v(values), c(columns), most(capacity) {}

    bool is_full() const { return size == most; }
    float least() const { return v[0]; }

    void offer(float value, std::int32_t column) {
      if (size < most) {
        rise(size++, value, column);
      } else if (is_less(v[0], c[0], value, column)) {
        sink(value, column, size);
      }
    }

    // The largest first.
    void sort() {
      for (Index n = size - 1; n > 0; --n) {
        const float value = v[n];
        const std::int32_t column = c[n];
        v[n] = v[0], c[n] = c[0];
        sink(value, column, n);
      }
    }

   private:
    static bool is_less(float a, std::int32_t a_column, float b, std::int32_t b_column) {
      return a < b || (a == b && a_column > b_column);
    }

    void rise(Index at, float value, std::int32_t column) {
      while (at > 0) {
        const Index parent = (at - 1) / 2;
        if (!is_less(value, column, v[parent], c[parent])) break;
        v[at] = v[parent], c[at] = c[parent];
        at = parent;
      }
      v[at] = value, c[at] = column;
    }

    // Puts a pair at the root of the first n in place of the one there.
    void sink(float value, std::int32_t column, Index n) {
      Index at = 0;
      for (;;) {
        Index child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && is_less(v[child + 1], c[child + 1], v[child], c[child])) ++child;
        if (!is_less(v[child], c[child], value, column)) break;
        v[at] = v[child], c[at] = c[child];
        at = child;
      }
      v[at] = value, c[at] = column;
    }

    float* v;
    std::int32_t* c;
    Index most, size = 0;
  };

  static Index groups(Index columns) { return ceil_div(columns, strip_size) * width; }

  static V load(const float* row, Index at, Index columns) {
    if (at + width <= columns) return S::load(row + at);
    const int rest = static_cast<int>(columns - at);
    return rest > 0 ? S::first(S::load_first(row + at, rest), rest, S::set(-HUGE_VALF)) : S::set(-HUGE_VALF);
  }

  // The largest of each group of strips begin ... end - 1.
  static void find_largest(const float* row, Index columns, Index begin, Index end, float* largest) {
    for (Index s = begin; s < end; ++s) {
      const float* from = row + s * strip_size;
      V a = S::set(-HUGE_VALF), b = a;
      if ((s + 1) * strip_size <= columns) {
        PANPIPE_UNROLL
        for (Index n = 0; n < strip; n += 2) {
          a = S::max(S::load(from + n * width), a);
          b = S::max(S::load(from + (n + 1) * width), b);
        }
      } else {
        for (Index n = 0; n < strip; ++n) a = S::max(load(from, n * width, columns - s * strip_size), a);
      }
      S::store(largest + s * width, S::max(a, b));
    }
  }

  // The count-th largest of the groups' largest; -infinity if there are fewer groups.
  static float bound_of(const float* largest, Index size, Heap heap) {
    for (Index i = 0; i < size; i += width) {
      if (heap.is_full() && !S::any_reaches(S::load(largest + i), S::set(heap.least()))) continue;
      for (Index n = i; n < i + width; ++n) heap.offer(largest[n], 0);
    }
    return heap.is_full() ? heap.least() : -HUGE_VALF;
  }

  // Marks a row without that many numbers by a column of -1.
  static void search(const float* row, Index columns, Index count, const float* largest, float* values,
                     std::int32_t* out) {
    const float bound = bound_of(largest, groups(columns), Heap(values, out, count));
    const V limit = S::set(bound);
    Heap heap(values, out, count);
    Index equals = 0;  // taken of those that equal the bound
    for (Index s = 0; s < ceil_div(columns, strip_size); ++s) {
      if (!S::any_reaches(S::load(largest + s * width), limit)) continue;
      const Index end = smaller((s + 1) * strip_size, columns);
      for (Index i = s * strip_size; i < end; i += width) {
        if (!S::any_reaches(load(row, i, columns), limit)) continue;
        for (Index c = i; c < smaller(i + width, end); ++c) {
          if (row[c] > bound || (row[c] == bound && equals++ < count)) {
            heap.offer(row[c], static_cast<std::int32_t>(c));
          }
        }
      }
    }
    if (heap.is_full()) {
      heap.sort();
    } else {
      out[0] = -1;
    }
  }

  static void top(const TopArguments& a) {
    const Index columns = a.x.columns, strips = ceil_div(columns, strip_size), parts = ceil_div(columns, 1 << 16);
    const auto row = [&](Index r) { return a.x.data + r * a.x.stride; };
    const auto largest = [&](Index r) { return a.largest + r * groups(columns); };
    parallel_for(static_cast<int>(a.x.rows * parts), [&](int chunk) {
      const Index r = chunk / parts, part = chunk % parts;
      find_largest(row(r), columns, part_begin(strips, parts, part), part_begin(strips, parts, part + 1), largest(r));
    });
    each_row(a.x.rows, columns, [&](Index r) {
      search(row(r), columns, a.count, largest(r), a.values + r * a.count, a.columns + r * a.count);
    });
  }
};

}  // namespace panpipe
