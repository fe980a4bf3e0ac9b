// The Python module panpipe._native: checks arguments once, lets go of the interpreter's lock, calls the kernels.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>

#include "arrays.h"
#include "dispatch.h"
#include "memory.h"
#include "threads.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace panpipe {
namespace {

using Unlocked = nb::gil_scoped_release;

std::string shape_text(Index rows, Index columns) {
  return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
}

// -- packed weights ----------------------------------------------------------------------------------------------------

class LinearWeight {
 public:
  LinearWeight(const Kernels& table, nb::handle weight, nb::handle bias) : kernels(table) {
    const Tensor tensor = tensor_of(weight, "weight");
    packed.outputs = tensor.rows;
    packed.inputs = tensor.columns;
    packed.panel_width = kernels.panel_width;
    packed.num_panels = ceil_div(tensor.rows, kernels.panel_width);
    const Vector given = bias.is_none() ? Vector{nullptr, tensor.rows} : vector_of(bias, "bias");
    if (given.size != tensor.rows) {
      throw ShapeError("bias has " + std::to_string(given.size) + " values; the weight " +
                       shape_text(tensor.rows, tensor.columns) + " needs one for each of its " +
                       std::to_string(tensor.rows) + " outputs.");
    }
    const auto width = static_cast<std::size_t>(packed.num_panels * packed.panel_width);
    panels.reset(static_cast<float*>(take_weights(width * static_cast<std::size_t>(packed.inputs) * sizeof(float))));
    packed.panels = panels.get();
    if (given.data) {
      padded_bias.reset(static_cast<float*>(take_weights(width * sizeof(float))));
      std::memset(padded_bias.get(), 0, width * sizeof(float));
      std::memcpy(padded_bias.get(), given.data, static_cast<std::size_t>(given.size) * sizeof(float));
      packed.bias = padded_bias.get();
    }
    const Unlocked unlocked;
    kernels.pack(tensor.source, packed);
  }

  nb::object unpack() const {
    Result result = new_matrix(packed.outputs, packed.inputs);
    kernels.unpack(packed, result.data);
    return result.array;
  }

  nb::object bias() const {
    if (!packed.bias) return nb::none();
    Result result = new_matrix(1, packed.outputs);
    std::memcpy(result.data, packed.bias, static_cast<std::size_t>(packed.outputs) * sizeof(float));
    return result.array.attr("__getitem__")(0);
  }

  const Kernels& kernels;
  PackedWeight packed;

 private:
  struct Release {
    void operator()(float* memory) const { release_weights(memory); }
  };
  std::unique_ptr<float, Release> panels, padded_bias;
};

// -- the operations of one instruction set -----------------------------------------------------------------------------

class Engine {
 public:
  explicit Engine(const std::string& isa) {
    const Kernels* found = find_kernels(isa);
    if (found == nullptr) {
      std::string names;
      for (const Kernels* kernels : available_kernels()) names += (names.empty() ? "" : ", ") + std::string(kernels->name);
      throw EngineError("instruction set '" + isa + "' is not one this machine and build have. There is: " + names + ".");
    }
    kernels = found;
  }

  std::string isa() const { return kernels->name; }

  LinearWeight* pack(nb::handle weight, nb::handle bias) const { return new LinearWeight(*kernels, weight, bias); }

  nb::object linear(nb::handle x, const LinearWeight& weight, int activation, nb::handle residual) const {
    LinearArguments a{};
    a.x = matrix_of(x, "x");
    a.weight = &weight.packed;
    a.activation = static_cast<Activation>(activation);
    const PackedWeight& w = weight.packed;
    if (a.x.columns != w.inputs) {
      throw ShapeError("x is " + describe(x) + ", but the weight is [out, in] = " + shape_text(w.outputs, w.inputs) +
                       ": x must have " + std::to_string(w.inputs) + " columns.");
    }
    if (!residual.is_none()) {
      const Matrix r = matrix_of(residual, "residual");
      if (r.rows != a.x.rows || r.columns != w.outputs) {
        throw ShapeError("residual is " + describe(residual) + "; the result it is added to is " +
                         shape_text(a.x.rows, w.outputs) + ".");
      }
      a.residual = r.data;
      a.residual_stride = r.stride;
    }
    Result result = new_spread_matrix(a.x.rows, w.outputs);
    a.out = result.data;
    a.out_stride = result.stride;
    const Unlocked unlocked;
    weight.kernels.linear(a);
    return result.array;
  }

  nb::object attention(nb::handle q, nb::handle k, nb::handle v, nb::handle q_offsets, nb::handle kv_offsets,
                       int num_heads, int num_kv_heads, float scale, bool causal, nb::handle window,
                       nb::handle relative_bias, nb::handle q_positions) const {
    AttentionArguments a{};
    a.q = matrix_of(q, "q");
    a.k = matrix_of(k, "k");
    a.v = matrix_of(v, "v");
    set_heads(a, num_heads, num_kv_heads);
    if (a.q.columns != Index{a.head_size} * num_heads || a.k.columns != Index{a.head_size} * num_kv_heads ||
        a.v.columns != a.k.columns || a.k.rows != a.v.rows) {
      throw ShapeError("q is " + describe(q) + ", k is " + describe(k) + ", v is " + describe(v) + "; with " +
                       std::to_string(num_heads) + " heads and " + std::to_string(num_kv_heads) +
                       " key/value heads they must be [q_tokens, " + std::to_string(num_heads) +
                       " * head_size] and twice [kv_tokens, " + std::to_string(num_kv_heads) + " * head_size].");
    }
    const Integers qo = offsets_of(q_offsets, "q_offsets", a.q.rows);
    const Integers ko = offsets_of(kv_offsets, "kv_offsets", a.k.rows);
    if (qo.size != ko.size) {
      throw ShapeError("q_offsets has " + std::to_string(qo.size) + " values and kv_offsets " + std::to_string(ko.size) +
                       "; both must be [sequences + 1].");
    }
    a.kv_offsets = ko.data;
    return attend(a, qo, scale, causal, window, relative_bias, q_positions);
  }

  nb::object paged_attention(nb::handle q, nb::handle cache, nb::handle tables, nb::handle q_offsets,
                             nb::handle kv_lengths, int block_size, int num_heads, int num_kv_heads, float scale,
                             bool causal, nb::handle window, nb::handle relative_bias, nb::handle q_positions) const {
    AttentionArguments a{};
    a.q = matrix_of(q, "q");
    const Matrix both = matrix_of(cache, "cache");
    set_heads(a, num_heads, num_kv_heads);
    const Index width = Index{a.head_size} * num_kv_heads;
    if (a.q.columns != Index{a.head_size} * num_heads || both.columns != 2 * width) {
      throw ShapeError("q is " + describe(q) + ", cache is " + describe(cache) + "; with " + std::to_string(num_heads) +
                       " heads and " + std::to_string(num_kv_heads) + " key/value heads they must be [q_tokens, " +
                       std::to_string(num_heads) + " * head_size] and [blocks * block_size, 2 * " +
                       std::to_string(num_kv_heads) + " * head_size].");
    }
    a.k = {both.data, both.rows, width, both.stride};
    a.v = {both.data + width, both.rows, width, both.stride};
    const Integers qo = offsets_of(q_offsets, "q_offsets", a.q.rows);
    set_blocks(a, tables, integers_of(kv_lengths, "kv_lengths"), block_size, qo.size - 1);
    return attend(a, qo, scale, causal, window, relative_bias, q_positions);
  }

  nb::object embed(nb::handle tables, nb::handle indices) const {
    EmbedArguments a{};
    const auto count = nb::len(tables);
    if (count < 1 || count > EmbedArguments::max_tables || nb::len(indices) != count) {
      throw ShapeError("embed takes 1 to " + std::to_string(EmbedArguments::max_tables) +
                       " tables and as many arrays of indices; given: " + std::to_string(count) + " and " +
                       std::to_string(nb::len(indices)) + ".");
    }
    a.tables = static_cast<int>(count);
    nb::object kept[2 * EmbedArguments::max_tables];  // alive while the lock is not held
    for (int i = 0; i < a.tables; ++i) {
      const nb::object table = kept[2 * i] = tables[i], index = kept[2 * i + 1] = indices[i];
      const Table rows = table_of(table, "table");
      const Integers ids = integers_of(index, "indices");
      if (i == 0) a.tokens = ids.size, a.hidden = rows.columns;
      if (ids.size != a.tokens || rows.columns != a.hidden) {
        throw ShapeError("table " + std::to_string(i) + " is " + describe(table) + " with " + std::to_string(ids.size) +
                         " indices; the first has " + std::to_string(a.hidden) + " columns and " +
                         std::to_string(a.tokens) + " indices.");
      }
      check_rows(ids, rows.rows, "indices");
      a.table[i] = rows.data;
      a.half[i] = rows.half;
      a.index[i] = ids.data;
    }
    Result result = new_matrix(a.tokens, a.hidden);
    a.out = result.data;
    const Unlocked unlocked;
    kernels->embed(a);
    return result.array;
  }

  nb::object take(nb::handle x, nb::handle rows) const {
    const Matrix matrix = matrix_of(x, "x");
    const Integers wanted = integers_of(rows, "rows");
    check_rows(wanted, matrix.rows, "rows");
    Result result = new_matrix(wanted.size, matrix.columns);
    kernels->take(matrix, wanted.data, wanted.size, result.data);
    return result.array;
  }

  void store(nb::handle cache, nb::handle rows, nb::handle x) const {
    const WritableMatrix to = writable_matrix_of(cache, "cache");
    const Integers wanted = integers_of(rows, "rows");
    const Matrix from = matrix_of(x, "x");
    if (from.columns != to.columns || from.rows != wanted.size) {
      throw ShapeError("x is " + describe(x) + "; to be stored in " + std::to_string(wanted.size) + " rows of " +
                       describe(cache) + " it must be " + shape_text(wanted.size, to.columns) + ".");
    }
    check_rows(wanted, to.rows, "rows");
    const Unlocked unlocked;
    kernels->store(to.data, to.stride, wanted.data, from);
  }

  nb::object gate(nb::handle x, int activation) const {
    GateArguments a{};
    a.x = matrix_of(x, "x");
    if (a.x.columns % 2 != 0) {
      throw ShapeError("x is " + describe(x) + "; it must have two halves, of as many columns each.");
    }
    a.activation = static_cast<Activation>(activation);
    Result result = new_spread_matrix(a.x.rows, a.x.columns / 2);
    a.out = result.data;
    a.out_stride = result.stride;
    const Unlocked unlocked;
    kernels->gate(a);
    return result.array;
  }

  nb::object rotate(nb::handle x, nb::handle cosines, nb::handle sines, nb::handle positions, int num_heads) const {
    RotateArguments a{};
    a.x = matrix_of(x, "x");
    const Table c = table_of(cosines, "cosines"), s = table_of(sines, "sines");
    const Integers places = integers_of(positions, "positions");
    if (num_heads < 1 || a.x.columns % num_heads != 0 || places.size != a.x.rows) {
      throw ShapeError("x is " + describe(x) + " with " + std::to_string(places.size) + " positions; with " +
                       std::to_string(num_heads) + " heads it must be [tokens, " + std::to_string(num_heads) +
                       " * head_size], and have a position for each token.");
    }
    if (c.half || s.half || c.rows != s.rows || c.columns != s.columns || 2 * c.columns * num_heads > a.x.columns) {
      throw ShapeError("cosines are " + describe(cosines) + " and sines " + describe(sines) +
                       "; both must be float32 [rows, n] with 2 * n at most the head size, " +
                       std::to_string(a.x.columns / num_heads) + ".");
    }
    check_rows(places, c.rows, "positions");
    a.cosines = static_cast<const float*>(c.data);
    a.sines = static_cast<const float*>(s.data);
    a.half = c.columns;
    a.positions = places.data;
    a.num_heads = num_heads;
    Result result = new_matrix(a.x.rows, a.x.columns);
    a.out = result.data;
    const Unlocked unlocked;
    kernels->rotate(a);
    return result.array;
  }

  nb::object log_softmax(nb::handle x) const {
    const Matrix matrix = matrix_of(x, "x");
    Result result = new_matrix(matrix.rows, matrix.columns);
    const Unlocked unlocked;
    kernels->log_softmax(matrix, result.data);
    return result.array;
  }

  nb::object top(nb::handle x, Index count) const {
    TopArguments a{};
    a.x = matrix_of(x, "x");
    if (count < 1 || count > a.x.columns) {
      throw InvalidArgument("count is " + std::to_string(count) + "; of " + describe(x) + " it must be 1 to " +
                            std::to_string(a.x.columns) + ".");
    }
    a.count = count;
    const Result values = new_matrix(a.x.rows, count);
    const IntegerResult columns = new_integer_matrix(a.x.rows, count);
    a.values = values.data;
    a.columns = columns.data;
    {
      const Unlocked unlocked;
      const Block working(a.x.rows * kernels->top_groups(a.x.columns));
      a.largest = working.data;
      kernels->top(a);
    }
    for (Index r = 0; r < a.x.rows; ++r) {
      if (a.columns[r * count] < 0) {
        throw InvalidArgument("row " + std::to_string(r) + " of x has fewer than " + std::to_string(count) +
                              " values that are numbers.");
      }
    }
    return nb::make_tuple(values.array, columns.array);
  }

  nb::object activate(nb::handle x, int activation) const {
    const Values values = values_of(x, "x");
    Result result = new_like(x);
    const Unlocked unlocked;
    kernels->activate(values.data, result.data, values.size, static_cast<Activation>(activation));
    return result.array;
  }

  nb::object layer_norm(nb::handle x, nb::handle weight, nb::handle bias, float epsilon) const {
    return norm(x, weight, bias, epsilon, kernels->layer_norm);
  }

  nb::object rms_norm(nb::handle x, nb::handle weight, float epsilon) const {
    return norm(x, weight, nb::none(), epsilon, kernels->rms_norm);
  }

  nb::object normalize(nb::handle x) const {
    const Matrix matrix = matrix_of(x, "x");
    Result result = new_matrix(matrix.rows, matrix.columns);
    const Unlocked unlocked;
    kernels->normalize(matrix, result.data);
    return result.array;
  }

  nb::object pool(nb::handle x, nb::handle offsets, int pooling) const {
    PoolArguments a{};
    a.x = matrix_of(x, "x");
    const Integers ends = offsets_of(offsets, "offsets", a.x.rows);
    a.offsets = ends.data;
    a.sequences = static_cast<int>(ends.size - 1);
    a.pooling = static_cast<Pooling>(pooling);
    Result result = new_matrix(a.sequences, a.x.columns);
    a.out = result.data;
    const Unlocked unlocked;
    kernels->pool(a);
    return result.array;
  }

  const Kernels* kernels;

 private:
  // Memory for a while.
  struct Block {
    explicit Block(Index floats) : data(static_cast<float*>(take_block(static_cast<std::size_t>(floats) * sizeof(float)))) {}
    ~Block() { release_block(data); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    float* const data;
  };

  static void set_heads(AttentionArguments& a, int num_heads, int num_kv_heads) {
    if (num_heads < 1 || num_kv_heads < 1 || num_heads % num_kv_heads != 0) {
      throw InvalidArgument("num_kv_heads (" + std::to_string(num_kv_heads) + ") must divide num_heads (" +
                            std::to_string(num_heads) + ").");
    }
    a.num_heads = num_heads;
    a.num_kv_heads = num_kv_heads;
    a.head_size = static_cast<int>(a.q.columns / num_heads);
  }

  // Checks all rows that will be read; what a table holds past its sequence's keys is never looked at.
  static void set_blocks(AttentionArguments& a, nb::handle tables, const Integers& kv_lengths, int block_size,
                         Index sequences) {
    const IntegerMatrix blocks = integer_matrix_of(tables, "tables");
    if (block_size < 1) throw InvalidArgument("block_size is " + std::to_string(block_size) + "; it must be 1 or more.");
    if (blocks.rows != sequences || kv_lengths.size != sequences) {
      throw ShapeError("tables is " + describe(tables) + " and kv_lengths has " + std::to_string(kv_lengths.size) +
                       " values; with " + std::to_string(sequences) + " sequences they must be [" +
                       std::to_string(sequences) + ", most_blocks] and [" + std::to_string(sequences) + "].");
    }
    const Index all_blocks = a.k.rows / block_size;
    for (Index s = 0; s < sequences; ++s) {
      const Index keys = kv_lengths.data[s];
      if (keys < 0 || keys > blocks.columns * block_size) {
        throw InvalidArgument("kv_lengths has the value " + std::to_string(keys) + "; " + std::to_string(blocks.columns) +
                              " blocks of " + std::to_string(block_size) + " hold 0 to " +
                              std::to_string(blocks.columns * block_size) + " keys.");
      }
      check_rows({blocks.data + s * blocks.stride, ceil_div(keys, block_size)}, all_blocks, "tables", "blocks");
    }
    a.tables = blocks.data;
    a.table_stride = blocks.stride;
    a.block_size = block_size;
    a.kv_lengths = kv_lengths.data;
  }

  // What is left to do for attention when it is known where the keys lie.
  nb::object attend(AttentionArguments& a, const Integers& q_offsets, float scale, bool causal, nb::handle window,
                    nb::handle relative_bias, nb::handle q_positions) const {
    a.q_offsets = q_offsets.data;
    a.scale = std::isnan(scale) ? 1.0f / std::sqrt(static_cast<float>(a.head_size)) : scale;
    a.causal = causal;
    if (!window.is_none()) {
      a.window = nb::cast<Index>(window);
      if (a.window < 1) throw InvalidArgument("window is " + std::to_string(a.window) + "; it must be 1 or more, or None.");
    }
    if (!relative_bias.is_none()) {
      const Table bias = table_of(relative_bias, "relative_bias");
      if (bias.half || bias.rows != a.num_heads || bias.columns % 2 != 1) {
        throw ShapeError("relative_bias is " + describe(relative_bias) + "; it must be float32 [" +
                         std::to_string(a.num_heads) + " heads, 2 * span + 1].");
      }
      a.relative_bias = static_cast<const float*>(bias.data);
      a.span = static_cast<int>(bias.columns / 2);
    }
    if (!q_positions.is_none()) {
      const Integers positions = integers_of(q_positions, "q_positions");
      if (positions.size != a.q.rows) {
        throw ShapeError("q_positions has " + std::to_string(positions.size) + " values for " +
                         std::to_string(a.q.rows) + " queries.");
      }
      a.q_positions = positions.data;
    }
    Result result = new_matrix(a.q.rows, a.q.columns);
    a.out = result.data;
    const Unlocked unlocked;
    const std::vector<AttentionItem> items = items_of(q_offsets);
    a.items = items.data();
    a.num_items = static_cast<int>(items.size());
    kernels->attention(a);
    return result.array;
  }

  static nb::object norm(nb::handle x, nb::handle weight, nb::handle bias, float epsilon,
                         void (*kernel)(const NormArguments&)) {
    NormArguments a{};
    a.x = matrix_of(x, "x");
    const Vector w = vector_of(weight, "weight");
    const Vector b = bias.is_none() ? Vector{nullptr, w.size} : vector_of(bias, "bias");
    if (w.size != a.x.columns || b.size != w.size) {
      throw ShapeError("x is " + describe(x) + ", weight has " + std::to_string(w.size) + " values and bias " +
                       std::to_string(b.size) + "; both need one for each column of x.");
    }
    a.weight = w.data;
    a.bias = b.data;
    a.epsilon = epsilon;
    Result result = new_matrix(a.x.rows, a.x.columns);
    a.out = result.data;
    const Unlocked unlocked;
    kernel(a);
    return result.array;
  }

  static void check_rows(const Integers& indices, Index rows, const char* name,
                         const char* what = "rows") {
    // One comparison for both ends: a negative index is a large unsigned number.
    std::uint32_t largest_index = 0;
    for (Index i = 0; i < indices.size; ++i) {
      largest_index = std::max(largest_index, static_cast<std::uint32_t>(indices.data[i]));
    }
    if (indices.size > 0 && static_cast<Index>(largest_index) >= rows) {
      throw InvalidArgument(std::string(name) + " has the value " +
                            std::to_string(static_cast<std::int32_t>(largest_index)) + "; there are " + what +
                            " 0 to " + std::to_string(rows - 1) + ".");
    }
  }

  static Integers offsets_of(nb::handle value, const char* name, Index tokens) {
    const Integers offsets = integers_of(value, name);
    bool fits = offsets.size > 0 && offsets.data[0] == 0 && offsets.data[offsets.size - 1] == tokens;
    for (Index i = 1; fits && i < offsets.size; ++i) fits = offsets.data[i - 1] <= offsets.data[i];
    if (!fits) {
      throw ShapeError(std::string(name) + " must rise from 0 to the number of tokens, " + std::to_string(tokens) +
                       ", one value more than there are sequences.");
    }
    return offsets;
  }

  // Long sequences are cut, so that threads share them too; in equal parts, so that none is a thin remainder.
  static std::vector<AttentionItem> items_of(const Integers& q_offsets) {
    std::vector<AttentionItem> items;
    items.reserve(static_cast<std::size_t>(q_offsets.size));
    for (Index s = 0; s + 1 < q_offsets.size; ++s) {
      const Index begin = q_offsets.data[s], queries = q_offsets.data[s + 1] - begin;
      const Index parts = ceil_div(queries, AttentionItem::most_queries);
      for (Index part = 0; part < parts; ++part) {
        const Index from = part_begin(queries, parts, part), to = part_begin(queries, parts, part + 1);
        items.push_back({static_cast<std::int32_t>(s), static_cast<std::int32_t>(begin + from),
                         static_cast<std::int32_t>(to - from)});
      }
    }
    return items;
  }
};

// -- out to Python ------------------------------------------------------------------------------------------------------

// Each row as a list of Python floats. Lists of floats alone are in no cycle, so the garbage collector is spared the
// millions of references in them: it would otherwise walk them again and again while they are made.
nb::object to_lists(nb::handle x) {
  const Matrix matrix = matrix_of(x, "x");
  nb::object rows = nb::steal(PyList_New(matrix.rows));
  if (!rows) nb::raise_python_error();
  for (Index i = 0; i < matrix.rows; ++i) {
    PyObject* row = PyList_New(matrix.columns);
    if (!row) nb::raise_python_error();
    PyList_SET_ITEM(rows.ptr(), i, row);
    for (Index j = 0; j < matrix.columns; ++j) {
      PyObject* value = PyFloat_FromDouble(matrix.data[i * matrix.stride + j]);
      if (!value) nb::raise_python_error();
      PyList_SET_ITEM(row, j, value);
    }
    PyObject_GC_UnTrack(row);
  }
  return rows;
}

// -- the machine's limits ----------------------------------------------------------------------------------------------

// `work` on every thread again and again for that long; the sum of what it returns, per second.
template <class Work>
double rate(int threads, double seconds, Work work) {
  using Clock = std::chrono::steady_clock;
  const Unlocked unlocked;
  const int before = num_threads();
  set_num_threads(threads);
  double best = 0.0;
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    std::vector<double> done(static_cast<std::size_t>(threads), 0.0);
    const auto begin = Clock::now();
    parallel_for(threads, [&](int chunk) { done[static_cast<std::size_t>(chunk)] = work(chunk); });
    double total = 0.0;
    for (const double part : done) total += part;
    best = std::max(best, total / std::chrono::duration<double>(Clock::now() - begin).count());
  } while (Clock::now() < until);
  set_num_threads(before);
  return best;
}

double measure_fma_peak(int threads, double seconds) {
  const Kernels* kernels = available_kernels().front();
  return rate(threads, seconds, [=](int) { return kernels->fma_work(1 << 20); }) * 1e-9;
}

double measure_memory_rate(int threads, double seconds) {
  const Kernels* kernels = available_kernels().front();
  constexpr Index floats_each = Index{32} << 20;  // 128 MiB a thread: far more than any cache
  const auto bytes = static_cast<std::size_t>(floats_each * threads) * sizeof(float);
  const auto release = [](float* memory) { release_weights(memory); };
  const std::unique_ptr<float, decltype(release)> buffer(static_cast<float*>(take_weights(bytes)), release);
  std::memset(buffer.get(), 0, bytes);
  const float* data = buffer.get();
  return rate(threads, seconds, [=](int chunk) {
           const float sum = kernels->read_work(data + chunk * floats_each, floats_each);
           return sum == 0.0f ? static_cast<double>(floats_each) * sizeof(float) : 0.0;
         }) * 1e-9;
}

void raise_as(const char* name, const char* message) {
  const nb::object type = nb::module_::import_("panpipe.errors").attr(name);
  PyErr_SetString(type.ptr(), message);
}

void translate(const std::exception_ptr& exception, void*) {
  try {
    std::rethrow_exception(exception);
  } catch (const ShapeError& error) {
    raise_as("ShapeError", error.what());
  } catch (const InvalidArgument& error) {
    raise_as("InvalidArgument", error.what());
  } catch (const EngineError& error) {
    raise_as("EngineError", error.what());
  }
}

}  // namespace

NB_MODULE(_native, m) {
  import_numpy();
  nb::register_exception_translator(translate);

  nb::class_<LinearWeight>(m, "LinearWeight")
      // For pickles: on the reader's machine, its best instruction set.
      .def("__init__", [](LinearWeight* self, nb::handle weight, nb::handle bias) {
        new (self) LinearWeight(*available_kernels().front(), weight, bias);
      }, "weight"_a, "bias"_a.none())
      .def_prop_ro("outputs", [](const LinearWeight& w) { return w.packed.outputs; })
      .def_prop_ro("inputs", [](const LinearWeight& w) { return w.packed.inputs; })
      .def_prop_ro("isa", [](const LinearWeight& w) { return std::string(w.kernels.name); })
      .def_prop_ro("bias", &LinearWeight::bias)
      .def("unpack", &LinearWeight::unpack)
      .def("__reduce__", [](nb::handle self) {
        const auto& w = nb::cast<const LinearWeight&>(self);
        return nb::make_tuple(self.type(), nb::make_tuple(w.unpack(), w.bias()));
      });

  nb::class_<Engine>(m, "Engine")
      .def(nb::init<const std::string&>(), "isa"_a)
      .def_prop_ro("isa", &Engine::isa)
      .def("pack", &Engine::pack, "weight"_a, "bias"_a.none(), nb::rv_policy::take_ownership)
      .def("linear", &Engine::linear, "x"_a, "weight"_a, "activation"_a, "residual"_a.none())
      .def("attention", &Engine::attention, "q"_a, "k"_a, "v"_a, "q_offsets"_a, "kv_offsets"_a, "num_heads"_a,
           "num_kv_heads"_a, "scale"_a, "causal"_a, "window"_a.none(), "relative_bias"_a.none(), "q_positions"_a.none())
      .def("paged_attention", &Engine::paged_attention, "q"_a, "cache"_a, "tables"_a, "q_offsets"_a, "kv_lengths"_a,
           "block_size"_a, "num_heads"_a, "num_kv_heads"_a, "scale"_a, "causal"_a, "window"_a.none(), "relative_bias"_a.none(),
           "q_positions"_a.none())
      .def("store", &Engine::store, "cache"_a, "rows"_a, "x"_a)
      .def("gate", &Engine::gate, "x"_a, "activation"_a)
      .def("rotate", &Engine::rotate, "x"_a, "cosines"_a, "sines"_a, "positions"_a, "num_heads"_a)
      .def("log_softmax", &Engine::log_softmax, "x"_a)
      .def("top", &Engine::top, "x"_a, "count"_a)
      .def("embed", &Engine::embed, "tables"_a, "indices"_a)
      .def("take", &Engine::take, "x"_a, "rows"_a)
      .def("activate", &Engine::activate, "x"_a, "activation"_a)
      .def("layer_norm", &Engine::layer_norm, "x"_a, "weight"_a, "bias"_a.none(), "epsilon"_a)
      .def("rms_norm", &Engine::rms_norm, "x"_a, "weight"_a, "epsilon"_a)
      .def("normalize", &Engine::normalize, "x"_a)
      .def("pool", &Engine::pool, "x"_a, "offsets"_a, "pooling"_a);

  m.def("to_lists", &to_lists, "x"_a);
  m.def("available_isas", [] {
    std::vector<std::string> names;
    for (const Kernels* kernels : available_kernels()) names.emplace_back(kernels->name);
    return names;
  });
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, "count"_a);
  m.def("kept_bytes", &kept_bytes);
  m.def("release_kept", &release_kept);
  m.def("measure_fma_peak", &measure_fma_peak, "threads"_a, "seconds"_a);
  m.def("measure_memory_rate", &measure_memory_rate, "threads"_a, "seconds"_a);
}

}  // namespace panpipe
