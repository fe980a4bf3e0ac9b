// The table of kernels for one instruction set: this file is compiled once for each, with its compiler flags and
// PANPIPE_SIMD_HEADER, PANPIPE_SIMD_TYPE and PANPIPE_SIMD_TABLE naming it.
#include PANPIPE_SIMD_HEADER

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/embedding.h"
#include "kernels/gate.h"
#include "kernels/gemm.h"
#include "kernels/log_softmax.h"
#include "kernels/machine.h"
#include "kernels/norm.h"
#include "kernels/pooling.h"
#include "kernels/rotary.h"
#include "kernels/top.h"

namespace panpipe {

const Kernels* PANPIPE_SIMD_TABLE() {
  using S = PANPIPE_SIMD_TYPE;
  static const Kernels table = {
      S::name,
      Gemm<S>::panel_width,
      Gemm<S>::pack,
      Gemm<S>::unpack,
      Gemm<S>::linear,
      Attention<S>::attention,
      Embedding<S>::embed,
      Norms<S>::layer_norm,
      Norms<S>::rms_norm,
      Norms<S>::normalize,
      Activations<S>::activate,
      Pooler<S>::pool,
      Embedding<S>::take,
      Embedding<S>::store,
      Gates<S>::gate,
      Rotary<S>::rotate,
      LogSoftmax<S>::log_softmax,
      Top<S>::groups,
      Top<S>::top,
      Machine<S>::fma_work,
      Machine<S>::read_work,
  };
  return &table;
}

}  // namespace panpipe
