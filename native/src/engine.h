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
  static constexpr Index most_queries = 192;
  std::int32_t sequence, first_query, queries;
};

struct AttentionArguments {
  Matrix q, k, v;
  const std::int32_t* q_offsets;   // [sequences + 1]
  const std::int32_t* kv_offsets;  // [sequences + 1]; null where keys and values lie in blocks
  // Blocks: the key at place j of sequence s is in row tables[s][j / block_size] * block_size + j % block_size.
  const std::int32_t* tables;      // [sequences, blocks], rows at a stride; null where they lie end to end
  Index table_stride;
  int block_size;
  const std::int32_t* kv_lengths;  // [sequences]
  const AttentionItem* items;
  int num_items;
  int num_heads, num_kv_heads, head_size;
  float scale;
  bool causal;
  Index window;                    // with causal: how many of the last keys are seen; 0 for all
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

struct GateArguments {
  Matrix x;  // [tokens, 2 * inner]
  Activation activation;
  float* out;  // [tokens, inner]
  Index out_stride;
};

struct RotateArguments {
  Matrix x;  // [tokens, num_heads * head_size]
  const float *cosines, *sines;  // [rows, half]
  Index half;
  const std::int32_t* positions;  // [tokens]
  int num_heads;
  float* out;  // contiguous
};

struct TopArguments {
  Matrix x;
  Index count;
  float* largest;         // working memory, `top_groups` floats a row
  float* values;          // [rows, count]
  std::int32_t* columns;  // [rows, count]; a row with fewer numbers than that has -1 in front
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
  void (*store)(float* cache, Index cache_stride, const std::int32_t* rows, const Matrix& x);
  void (*gate)(const GateArguments&);
  void (*rotate)(const RotateArguments&);
  void (*log_softmax)(const Matrix& x, float* out);
  Index (*top_groups)(Index columns);  // how many floats a row `TopArguments::largest` needs
  void (*top)(const TopArguments&);
  double (*fma_work)(Index rounds);             // floating-point operations done
  float (*read_work)(const float* data, Index size);  // sum, so that no read is dropped
};

// Null where the instruction set was not compiled in.
const Kernels* kernels_scalar();
const Kernels* kernels_avx2();
const Kernels* kernels_avx512();
const Kernels* kernels_neon();

}  // namespace panpipe
