// Embeddings: out[t] = sum over the tables of table[index[t]]; rows taken out of a matrix, and rows put into one.
//
// tables: up to EmbedArguments::max_tables, each [rows, hidden], float32 or float16. out [tokens, hidden].
// All tables are added in registers in one pass over the output. Bound: memory.
#pragma once

#include <cstring>

#include "../engine.h"
#include "../portable.h"
#include "../threads.h"

namespace panpipe {

template <class S>
struct Embedding {
  using V = typename S::Vector;

  static PANPIPE_INLINE V load(const EmbedArguments& a, int table, Index at) {
    return a.half[table] ? S::load_half(static_cast<const std::uint16_t*>(a.table[table]) + at)
                         : S::load(static_cast<const float*>(a.table[table]) + at);
  }

  static PANPIPE_INLINE V load_first(const EmbedArguments& a, int table, Index at, int lanes) {
    return a.half[table] ? S::load_half_first(static_cast<const std::uint16_t*>(a.table[table]) + at, lanes)
                         : S::load_first(static_cast<const float*>(a.table[table]) + at, lanes);
  }

  static void token(const EmbedArguments& a, Index t) {
    float* out = a.out + t * a.hidden;
    Index row[EmbedArguments::max_tables];
    for (int table = 0; table < a.tables; ++table) row[table] = a.index[table][t] * a.hidden;
    Index i = 0;
    for (; i + S::width <= a.hidden; i += S::width) {
      V sum = load(a, 0, row[0] + i);
      for (int table = 1; table < a.tables; ++table) sum = S::add(sum, load(a, table, row[table] + i));
      S::store(out + i, sum);
    }
    const int rest = static_cast<int>(a.hidden - i);
    if (rest == 0) return;
    V sum = load_first(a, 0, row[0] + i, rest);
    for (int table = 1; table < a.tables; ++table) sum = S::add(sum, load_first(a, table, row[table] + i, rest));
    S::store_first(out + i, sum, rest);
  }

  static void embed(const EmbedArguments& a) {
    each_row(a.tokens, a.hidden, [&](Index t) { token(a, t); });
  }

  static void take(const Matrix& x, const std::int32_t* rows, Index count, float* out) {
    for (Index i = 0; i < count; ++i) {
      std::memcpy(out + i * x.columns, x.data + rows[i] * x.stride, static_cast<std::size_t>(x.columns) * sizeof(float));
    }
  }

  // cache[rows[i]] = x[i]; each row once.
  static void store(float* cache, Index cache_stride, const std::int32_t* rows, const Matrix& x) {
    each_row(x.rows, x.columns, [&](Index i) {
      std::memcpy(cache + rows[i] * cache_stride, x.data + i * x.stride,
                  static_cast<std::size_t>(x.columns) * sizeof(float));
    });
  }
};

}  // namespace panpipe
