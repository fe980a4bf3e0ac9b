// float16 to float32, for the places without an instruction for it.
#pragma once

#include <cstdint>
#include <cstring>

#include "portable.h"

namespace panpipe {

PANPIPE_INLINE float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t rest = half & 0x7fffu;
  std::uint32_t bits;
  if (rest >= 0x7c00u) {  // infinite, or not a number
    bits = 0x7f800000u | (rest & 0x3ffu) << 13;
  } else if (rest >= 0x400u) {
    bits = (rest << 13) + (112u << 23);
  } else {  // subnormal: a whole number of 2^-24
    const float value = static_cast<float>(rest) * 5.9604644775390625e-8f;
    std::memcpy(&bits, &value, 4);
  }
  bits |= sign;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

}  // namespace panpipe
