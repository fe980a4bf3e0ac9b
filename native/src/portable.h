// What compilers spell differently, and the few helpers that kernels need from no library.
//
// Kernels are compiled once per instruction set into one module. An inline function of the standard library used there
// could be emitted with AVX-512 instructions and picked by the linker for everyone: kernels use these instead.
#pragma once

#include <cstddef>

#if defined(_MSC_VER) && !defined(__clang__)
#define PANPIPE_INLINE __forceinline
#define PANPIPE_NO_INLINE __declspec(noinline)
#define PANPIPE_UNROLL
#else
#define PANPIPE_INLINE inline __attribute__((always_inline))
#define PANPIPE_NO_INLINE __attribute__((noinline))
#if defined(__clang__)
#define PANPIPE_UNROLL _Pragma("unroll")
#else
#define PANPIPE_UNROLL _Pragma("GCC unroll 32")
#endif
#endif

// Functions that do nothing but prefetch must be PANPIPE_INLINE, and so must their callers of that kind: gcc takes them
// for functions without an effect, and quietly drops the calls.

namespace panpipe {

using Index = std::ptrdiff_t;

PANPIPE_INLINE constexpr Index smaller(Index a, Index b) { return b < a ? b : a; }
PANPIPE_INLINE constexpr Index larger(Index a, Index b) { return a < b ? b : a; }
PANPIPE_INLINE constexpr float larger_float(float a, float b) { return a < b ? b : a; }
PANPIPE_INLINE constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
PANPIPE_INLINE constexpr Index round_up(Index a, Index b) { return ceil_div(a, b) * b; }

// The begin of part `i` of `parts` nearly equal parts of `total`.
PANPIPE_INLINE constexpr Index part_begin(Index total, Index parts, Index i) {
  return total / parts * i + smaller(i, total % parts);
}

}  // namespace panpipe
