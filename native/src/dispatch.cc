#include "dispatch.h"

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <immintrin.h>
#include <intrin.h>
#endif

namespace panpipe {
namespace {

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER) && !defined(__clang__)

// The processor has the instructions, and the operating system saves the registers (XCR0).
bool has_bits(int leaf, int subleaf, int reg, unsigned bits) {
  int regs[4];
  __cpuidex(regs, leaf, subleaf);
  return (static_cast<unsigned>(regs[reg]) & bits) == bits;
}

bool saves(unsigned long long state) { return has_bits(1, 0, 2, 1u << 27) && (_xgetbv(0) & state) == state; }

bool has_avx2() {  // FMA, F16C; AVX2
  return saves(0x6) && has_bits(1, 0, 2, 1u << 12 | 1u << 29) && has_bits(7, 0, 1, 1u << 5);
}

bool has_avx512() {  // F, DQ, BW, VL
  return has_avx2() && saves(0xe6) && has_bits(7, 0, 1, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31);
}

#else

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

#endif
#endif

}  // namespace

const std::vector<const Kernels*>& available_kernels() {
  static const std::vector<const Kernels*> found = [] {
    std::vector<const Kernels*> list;
#if defined(PANPIPE_HAS_AVX512)
    if (has_avx512()) list.push_back(kernels_avx512());
#endif
#if defined(PANPIPE_HAS_AVX2)
    if (has_avx2()) list.push_back(kernels_avx2());
#endif
#if defined(PANPIPE_HAS_NEON)
    list.push_back(kernels_neon());  // part of every 64-bit ARM
#endif
    list.push_back(kernels_scalar());
    return list;
  }();
  return found;
}

const Kernels* find_kernels(const std::string& name) {
  for (const Kernels* kernels : available_kernels()) {
    if (name == kernels->name) return kernels;
  }
  return nullptr;
}

}  // namespace panpipe
