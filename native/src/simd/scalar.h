// Plain C++: a "vector" is four floats in a struct. What every machine can run, and what the others are read against.
#pragma once

#include <math.h>

#include <cstdint>
#include <cstring>

#include "../half.h"
#include "../portable.h"

namespace panpipe {

struct Scalar {
  static constexpr int width = 4;
  struct Vector {
    float lane[width];
  };
  static constexpr const char* name = "scalar";
  static constexpr int tile_rows = 4;
  static constexpr int tile_vectors = 2;

  static Vector zero() { return set(0.0f); }
  static Vector set(float x) {
    return each([=](int) { return x; });
  }
  static Vector load(const float* p) {
    return each([=](int i) { return p[i]; });
  }
  static Vector load_first(const float* p, int n) {
    return each([=](int i) { return i < n ? p[i] : 0.0f; });
  }
  static void store(float* p, Vector v) { store_first(p, v, width); }
  static void store_first(float* p, Vector v, int n) {
    for (int i = 0; i < n; ++i) p[i] = v.lane[i];
  }
  static Vector load_half(const std::uint16_t* p) {
    return each([=](int i) { return half_to_float(p[i]); });
  }
  static Vector load_half_first(const std::uint16_t* p, int n) {
    return each([=](int i) { return i < n ? half_to_float(p[i]) : 0.0f; });
  }

  static Vector add(Vector a, Vector b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static Vector sub(Vector a, Vector b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static Vector mul(Vector a, Vector b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static Vector div(Vector a, Vector b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static Vector max(Vector a, Vector b) {
    return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static Vector min(Vector a, Vector b) {
    return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  // a * b + c, rounded twice: without the instruction, one rounding would cost a call.
  static Vector fma(Vector a, Vector b, Vector c) {
    return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static Vector abs(Vector a) {
    return each([&](int i) { return fabsf(a.lane[i]); });
  }
  static Vector round(Vector a) {
    return each([&](int i) { return rintf(a.lane[i]); });
  }
  // 2^n for whole numbers -127 <= n <= 127; -127 gives 0.
  static Vector power_of_two(Vector n) {
    return each([&](int i) {
      const bool is_number = n.lane[i] >= -127.0f && n.lane[i] <= 127.0f;
      const std::uint32_t bits = static_cast<std::uint32_t>(is_number ? static_cast<int>(n.lane[i]) + 127 : 0) << 23;
      float value;
      std::memcpy(&value, &bits, 4);
      return value;
    });
  }
  // a < b ? x : y in each lane.
  static Vector if_less(Vector a, Vector b, Vector x, Vector y) {
    return each([&](int i) { return a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i]; });
  }
  // The first n lanes of a, then those of b.
  static Vector first(Vector a, int n, Vector b) {
    return each([&](int i) { return i < n ? a.lane[i] : b.lane[i]; });
  }

  static float sum(Vector v) { return (v.lane[0] + v.lane[2]) + (v.lane[1] + v.lane[3]); }
  static float largest(Vector v) {
    return larger_float(larger_float(v.lane[0], v.lane[1]), larger_float(v.lane[2], v.lane[3]));
  }

  // Whether a >= b in any lane.
  static bool any_reaches(Vector a, Vector b) {
    bool any = false;
    for (int i = 0; i < width; ++i) any |= a.lane[i] >= b.lane[i];
    return any;
  }
  // Lane n: the sum of v[n].
  static Vector sums(const Vector (&v)[4]) {
    return each([&](int n) { return sum(v[n]); });
  }

  static PANPIPE_INLINE void prefetch_far(const void*) {}
  static PANPIPE_INLINE void prefetch_to_write(const void*) {}
  static PANPIPE_INLINE void prefetch(const void*) {}

  // to[c * to_stride + r] = rows[r][c] for a square of 4 x 4.
  static void transpose(const float* const* rows, float* to, Index to_stride) {
    for (int r = 0; r < width; ++r) {
      for (int c = 0; c < width; ++c) to[c * to_stride + r] = rows[r][c];
    }
  }

 private:
  template <class Lane>
  static PANPIPE_INLINE Vector each(Lane lane) {
    Vector v;
    PANPIPE_UNROLL
    for (int i = 0; i < width; ++i) v.lane[i] = lane(i);
    return v;
  }
};

}  // namespace panpipe
