// Activations, element by element: exact GELU, GELU by tanh, ReLU, SiLU, tanh; and the exponential they and the softmax use.
//
// Shapes: any. Each is a function of one vector, so that a matrix kernel can apply it in registers before it stores.
// Bound: compute, 10-25 instructions a vector; alone over a large array, memory.
#pragma once

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"

namespace panpipe {

template <class S>
struct Activations {
  using V = typename S::Vector;

  // min and max give their second argument where one is not a number: so it stays one.

  // e^x to about one unit in the last place; 0 below -87.3 (no denormals), at most 2^127 above.
  static PANPIPE_INLINE V exp(V x) {
    // x = n ln 2 + r, |r| <= ln 2 / 2: e^x = 2^n e^r. ln 2 in two parts keeps r exact.
    x = S::min(S::set(88.0f), S::max(S::set(-88.0f), x));
    const V n = S::round(S::mul(x, S::set(1.44269504088896341f)));
    V r = S::fma(n, S::set(-0.693145751953125f), x);
    r = S::fma(n, S::set(-1.428606765330187e-6f), r);
    // Taylor's series, the last two coefficients moved to level the error over |r| <= 0.3466.
    V p = S::fma(S::set(1.3982e-3f), r, S::set(8.3339e-3f));
    p = S::fma(p, r, S::set(4.16664853692e-2f));
    p = S::fma(p, r, S::set(1.66666656733e-1f));
    p = S::fma(p, r, S::set(0.5f));
    p = S::fma(p, r, S::set(1.0f));
    p = S::fma(p, r, S::set(1.0f));
    return S::mul(p, S::power_of_two(n));
  }

  // x * Phi(x). Phi(x) - 1/2 is odd: x * R(x^2), with R rational, a minimax fit on |x| <= 5.5 (error of x R: 7e-9);
  // beyond, Phi is 0 or 1 in float32.
  static PANPIPE_INLINE V gelu(V x) {
    const V c = S::min(S::set(5.5f), S::max(S::set(-5.5f), x));
    const V t = S::mul(c, c);
    V p = S::fma(S::set(2.2749485505870506e-08f), t, S::set(6.352112121476161e-06f));
    V q = S::fma(S::set(1.1975070753961888e-06f), t, S::set(7.36471874660569e-05f));
    p = S::fma(p, t, S::set(1.6882465561296527e-04f));
    q = S::fma(q, t, S::set(1.8844389082493666e-03f));
    p = S::fma(p, t, S::set(4.677254190032524e-03f));
    q = S::fma(q, t, S::set(2.864581305160633e-02f));
    p = S::fma(p, t, S::set(3.385254521314945e-02f));
    q = S::fma(q, t, S::set(2.5152166540678134e-01f));
    p = S::fma(p, t, S::set(3.989422346283183e-01f));
    q = S::fma(q, t, S::set(1.0f));
    return S::mul(x, S::fma(c, S::div(p, q), S::set(0.5f)));
  }

  // x * sigmoid(x).
  static PANPIPE_INLINE V silu(V x) { return S::div(x, S::add(S::set(1.0f), exp(S::sub(S::zero(), x)))); }

  // 0.5 x (1 + tanh(u)) = x * sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
  static PANPIPE_INLINE V gelu_tanh(V x) {
    const V x2 = S::mul(x, x);
    const V minus_2u = S::mul(x, S::fma(x2, S::set(-0.0713548162726f), S::set(-1.59576912160573f)));
    return S::div(x, S::add(S::set(1.0f), exp(minus_2u)));
  }

  static PANPIPE_INLINE V relu(V x) { return S::max(S::zero(), x); }

  // Far from 0, 1 - 2 / (e^2x + 1) with the sign put back; near 0, where that loses digits, an odd
  // polynomial (a minimax fit; error 5e-9 of the result).
  static PANPIPE_INLINE V tanh(V x) {
    const V a = S::abs(x);
    const V far = S::sub(S::set(1.0f), S::div(S::set(2.0f), S::add(exp(S::add(a, a)), S::set(1.0f))));
    const V t = S::mul(x, x);
    V p = S::fma(S::set(-5.666974e-3f), t, S::set(2.0606173e-2f));
    p = S::fma(p, t, S::set(-5.3730007e-2f));
    p = S::fma(p, t, S::set(1.33313313e-1f));
    p = S::fma(p, t, S::set(-3.33332777e-1f));
    const V near = S::fma(S::mul(p, t), x, x);
    const V signed_far = S::if_less(x, S::zero(), S::sub(S::zero(), far), far);
    return S::if_less(a, S::set(0.625f), near, signed_far);
  }

  template <Activation activation>
  static PANPIPE_INLINE V apply(V x) {
    if constexpr (activation == Activation::gelu) return gelu(x);
    if constexpr (activation == Activation::gelu_tanh) return gelu_tanh(x);
    if constexpr (activation == Activation::relu) return relu(x);
    if constexpr (activation == Activation::silu) return silu(x);
    if constexpr (activation == Activation::tanh) return tanh(x);
    return x;
  }

  // to[i] = activation(from[i]); both contiguous.
  template <Activation activation>
  static void run(const float* from, float* to, Index size) {
    const int chunks = static_cast<int>(smaller(ceil_div(size, 4096), 1024));
    parallel_for(chunks, [=](int chunk) {
      const Index end = part_begin(size, chunks, chunk + 1);
      Index i = part_begin(size, chunks, chunk);
      for (; i + S::width <= end; i += S::width) S::store(to + i, apply<activation>(S::load(from + i)));
      const int rest = static_cast<int>(end - i);
      if (rest > 0) S::store_first(to + i, apply<activation>(S::load_first(from + i, rest)), rest);
    });
  }

  static void activate(const float* from, float* to, Index size, Activation activation) {
    switch (activation) {
      case Activation::none: return run<Activation::none>(from, to, size);
      case Activation::gelu: return run<Activation::gelu>(from, to, size);
      case Activation::gelu_tanh: return run<Activation::gelu_tanh>(from, to, size);
      case Activation::relu: return run<Activation::relu>(from, to, size);
      case Activation::silu: return run<Activation::silu>(from, to, size);
      case Activation::tanh: return run<Activation::tanh>(from, to, size);
    }
  }
};

}  // namespace panpipe
