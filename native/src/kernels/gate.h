// Gated units: out = activation(left half of x) * right half.
//
// x [tokens, 2 * inner], out [tokens, inner], rows at a stride. Bound: memory.
#pragma once

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"
#include "activation.h"

namespace panpipe {

template <class S>
struct Gates {
  template <Activation activation>
  static void run(const GateArguments& a) {
    const Index inner = a.x.columns / 2;
    const auto gated = [](typename S::Vector left, typename S::Vector right) {
      return S::mul(Activations<S>::template apply<activation>(left), right);
    };
    each_row(a.x.rows, a.x.columns, [&](Index r) {
      const float *left = a.x.data + r * a.x.stride, *right = left + inner;
      float* out = a.out + r * a.out_stride;
      Index i = 0;
      for (; i + S::width <= inner; i += S::width) S::store(out + i, gated(S::load(left + i), S::load(right + i)));
      const int rest = static_cast<int>(inner - i);
      if (rest > 0) S::store_first(out + i, gated(S::load_first(left + i, rest), S::load_first(right + i, rest)), rest);
    });
  }

  static void gate(const GateArguments& a) {
    switch (a.activation) {
      case Activation::none: return run<Activation::none>(a);
      case Activation::gelu: return run<Activation::gelu>(a);
      case Activation::gelu_tanh: return run<Activation::gelu_tanh>(a);
      case Activation::relu: return run<Activation::relu>(a);
      case Activation::silu: return run<Activation::silu>(a);
      case Activation::tanh: return run<Activation::tanh>(a);
    }
  }
};

}  // namespace panpipe
