// NEON on 64-bit ARM: 4 floats to a vector, 32 vector registers.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "../portable.h"

namespace panpipe {

struct Neon {
  using Vector = float32x4_t;
  static constexpr const char* name = "neon";
  static constexpr int width = 4;
  static constexpr int tile_rows = 12;
  static constexpr int tile_vectors = 2;

  static Vector zero() { return vdupq_n_f32(0.0f); }
  static Vector set(float x) { return vdupq_n_f32(x); }
  static Vector load(const float* p) { return vld1q_f32(p); }
  static Vector load_first(const float* p, int n) {
    float values[4] = {};
    for (int i = 0; i < n; ++i) values[i] = p[i];
    return vld1q_f32(values);
  }
  static void store(float* p, Vector v) { vst1q_f32(p, v); }
  static void store_first(float* p, Vector v, int n) {
    if (n == width) return store(p, v);
    float values[4];
    vst1q_f32(values, v);
    for (int i = 0; i < n; ++i) p[i] = values[i];
  }
  static Vector load_half(const std::uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
  static Vector load_half_first(const std::uint16_t* p, int n) {
    std::uint16_t values[4] = {};
    for (int i = 0; i < n; ++i) values[i] = p[i];
    return load_half(values);
  }

  static Vector add(Vector a, Vector b) { return vaddq_f32(a, b); }
  static Vector sub(Vector a, Vector b) { return vsubq_f32(a, b); }
  static Vector mul(Vector a, Vector b) { return vmulq_f32(a, b); }
  static Vector div(Vector a, Vector b) { return vdivq_f32(a, b); }
  static Vector max(Vector a, Vector b) { return vmaxq_f32(a, b); }
  static Vector min(Vector a, Vector b) { return vminq_f32(a, b); }
  static Vector fma(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }  // a * b + c
  static Vector abs(Vector a) { return vabsq_f32(a); }
  static Vector round(Vector a) { return vrndnq_f32(a); }
  // 2^n for whole numbers -127 <= n <= 127; -127 gives 0.
  static Vector power_of_two(Vector n) {
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
  }
  // a < b ? x : y in each lane.
  static Vector if_less(Vector a, Vector b, Vector x, Vector y) { return vbslq_f32(vcltq_f32(a, b), x, y); }
  // The first n lanes of a, then those of b.
  static Vector first(Vector a, int n, Vector b) {
    const std::int32_t lanes[4] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(n)), a, b);
  }

  static float sum(Vector v) { return vaddvq_f32(v); }
  static float largest(Vector v) { return vmaxvq_f32(v); }

  // Whether a >= b in any lane.
  static bool any_reaches(Vector a, Vector b) { return vmaxvq_u32(vcgeq_f32(a, b)) != 0; }
  // Lane n: the sum of v[n]. Each sum is made in the same order, whatever n.
  static Vector sums(const Vector (&v)[4]) { return vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3])); }

  static PANPIPE_INLINE void prefetch_far(const void* p) { prefetch(p); }
  static PANPIPE_INLINE void prefetch_to_write(const void* p) { prefetch(p); }
  static PANPIPE_INLINE void prefetch(const void* p) {
#if defined(_MSC_VER) && !defined(__clang__)
    (void)p;
#else
    __builtin_prefetch(p);
#endif
  }

  // to[c * to_stride + r] = rows[r][c] for a square of 4 x 4.
  static void transpose(const float* const* rows, float* to, Index to_stride) {
    const float32x4_t a = vld1q_f32(rows[0]), b = vld1q_f32(rows[1]), c = vld1q_f32(rows[2]), d = vld1q_f32(rows[3]);
    const float32x4x2_t ab = vtrnq_f32(a, b), cd = vtrnq_f32(c, d);
    vst1q_f32(to, vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])));
    vst1q_f32(to + to_stride, vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])));
    vst1q_f32(to + 2 * to_stride, vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])));
    vst1q_f32(to + 3 * to_stride, vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1])));
  }
};

}  // namespace panpipe
