// What the kernels of every instruction set offer to the rest of the module: plain structs of arguments and a table of
// functions. All matrices are float32, row by row, with contiguous columns; a stride is the distance of rows in floats.
#pragma once

#include <cstdint>

#include "portable.h"

namespace panpipe {

enum class Activation { none, gelu, gelu_tanh, relu, silu, tanh };
enum class Pooling { mean, cls, last, max };

struct Matrix {
  const float* data;
  Index rows, columns, stride;
};

// float32 or float16 values, with free strides (in elements): a checkpoint's tensor as it lies in the file.
struct Source {
  const void* data;
  bool half;
  Index row_stride, column_stride;
};

// A weight [outputs, inputs] in panels: panel p holds, for each input k in turn, the weights of `panel_width` outputs
// from p * panel_width on. Outputs beyond the last are zeros. The bias is padded likewise.
struct PackedWeight {
  float* panels = nullptr;
  float* bias = nullptr;
  Index outputs = 0, inputs = 0;
  Index panel_width = 0, num_panels = 0;
};

struct LinearArguments {
  Matrix x;                 // [tokens, inputs]
  const PackedWeight* weight;
  const float* residual;    // [tokens, outputs] or null
  Index residual_stride;
  Activation activation;
  float* out;               // [tokens, outputs]
  Index out_stride;
};

// A stretch of the queries of one sequence: what one thread computes at a time (for each head).
struct AttentionItem {
  std::int32_t sequence, first_query, queries;
};

struct AttentionArguments {
  Matrix q, k, v;
  const std::int32_t* q_offsets;   // [sequences + 1]
  const std::int32_t* kv_offsets;  // [sequences + 1]
  const AttentionItem* items;
  int num_items;
  int num_heads, num_kv_heads, head_size;
  float scale;
  bool causal;
  const float* relative_bias;      // [num_heads, 2 * span + 1] or null
  int span;
  const std::int32_t* q_positions;  // [q_tokens] or null
  float* out;                      // [q_tokens, num_heads * head_size], contiguous
};

struct EmbedArguments {
  static constexpr int max_tables = 4;
  int tables;
  const void* table[max_tables];   // each [rows, hidden], contiguous
  bool half[max_tables];
  const std::int32_t* index[max_tables];
  Index tokens, hidden;
  float* out;
};

struct NormArguments {
  Matrix x;
  const float* weight;
  const float* bias;  // or null
  float epsilon;
  float* out;
};

struct PoolArguments {
  Matrix x;
  const std::int32_t* offsets;
  int sequences;
  Pooling pooling;
  float* out;
};

struct Kernels {
  const char* name;
  int panel_width;
  void (*pack)(const Source& source, PackedWeight& weight);
  void (*unpack)(const PackedWeight& weight, float* out);
  void (*linear)(const LinearArguments&);
  void (*attention)(const AttentionArguments&);
  void (*embed)(const EmbedArguments&);
  void (*layer_norm)(const NormArguments&);
  void (*rms_norm)(const NormArguments&);
  void (*normalize)(const Matrix& x, float* out);
  void (*activate)(const float* from, float* to, Index size, Activation activation);
  void (*pool)(const PoolArguments&);
  void (*take)(const Matrix& x, const std::int32_t* rows, Index count, float* out);
  double (*fma_work)(Index rounds);             // floating-point operations done
  float (*read_work)(const float* data, Index size);  // sum, so that no read is dropped
};

// Null where the instruction set was not compiled in.
const Kernels* kernels_scalar();
const Kernels* kernels_avx2();
const Kernels* kernels_avx512();
const Kernels* kernels_neon();

}  // namespace panpipe
