// AVX-512 (F, BW, DQ, VL): 16 floats to a vector, 32 vector registers.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "../portable.h"


namespace panpipe {

struct Avx512 {
  using Vector = __m512;
  static constexpr const char* name = "avx512";
  static constexpr int width = 16;
  // The matrix kernel's register tile: 12 x 32 = 24 accumulators, which leaves room for two weights and one input.
  static constexpr int tile_rows = 12;
  static constexpr int tile_vectors = 2;

  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector set(float x) { return _mm512_set1_ps(x); }
  static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  static Vector load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(mask(n), p); }
  static void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
  static void store_first(float* p, Vector v, int n) { _mm512_mask_storeu_ps(p, mask(n), v); }
  static Vector load_half(const std::uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Vector load_half_first(const std::uint16_t* p, int n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask(n), p));
  }

  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector sub(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector mul(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static Vector div(Vector a, Vector b) { return _mm512_div_ps(a, b); }
  static Vector max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  static Vector min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  static Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }  // a * b + c
  static Vector abs(Vector a) { return _mm512_abs_ps(a); }
  static Vector round(Vector a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // 2^n for whole numbers -127 <= n <= 127; -127 gives 0.
  static Vector power_of_two(Vector n) {
    const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
  }
  // a < b ? x : y in each lane.
  static Vector if_less(Vector a, Vector b, Vector x, Vector y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
  }
  // The first n lanes of a, then those of b.
  static Vector first(Vector a, int n, Vector b) { return _mm512_mask_blend_ps(mask(n), b, a); }

  static float sum(Vector v) { return _mm512_reduce_add_ps(v); }
  static float largest(Vector v) { return _mm512_reduce_max_ps(v); }

  // Whether a >= b in any lane.
  static bool any_reaches(Vector a, Vector b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ) != 0; }
  // Lane n: the sum of v[n]. Each sum is made in the same order, whatever n.
  static Vector sums(const Vector (&v)[16]) {
    __m512 s[8], t[4];
    for (int i = 0; i < 8; ++i) {
      s[i] = _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]), _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
    }
    for (int i = 0; i < 4; ++i) {
      t[i] = _mm512_add_ps(low_pairs(s[2 * i], s[2 * i + 1]), high_pairs(s[2 * i], s[2 * i + 1]));
    }
    return add_quarters(add_quarters(t[0], t[1]), add_quarters(t[2], t[3]));
  }

  static PANPIPE_INLINE void prefetch_far(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }
  static PANPIPE_INLINE void prefetch_to_write(const void* p) {
#if defined(_MSC_VER) && !defined(__clang__)
    prefetch(p);
#else
    __builtin_prefetch(p, 1);
#endif
  }
  static PANPIPE_INLINE void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }

  // to[c * to_stride + r] = rows[r][c] for a square of 16 x 16.
  static void transpose(const float* const* rows, float* to, Index to_stride) {
    __m512 r[16], t[16];
    for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(rows[i]);
    for (int i = 0; i < 8; ++i) {  // pairs of rows: 32-bit interleave
      t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
      t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; ++i) {  // fours of rows: 64-bit interleave
      r[4 * i + 0] = low_pairs(t[4 * i], t[4 * i + 2]);
      r[4 * i + 1] = high_pairs(t[4 * i], t[4 * i + 2]);
      r[4 * i + 2] = low_pairs(t[4 * i + 1], t[4 * i + 3]);
      r[4 * i + 3] = high_pairs(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; ++i) {  // 128-bit quarters of rows 0-7 and of rows 8-15
      t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
      t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
      t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
      t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 8; ++i) {
      _mm512_storeu_ps(to + i * to_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88));
      _mm512_storeu_ps(to + (i + 8) * to_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd));
    }
  }

 private:
  static __mmask16 mask(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static __m512 add_quarters(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  }
  static __m512 low_pairs(__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  }
  static __m512 high_pairs(__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  }
};

}  // namespace panpipe
