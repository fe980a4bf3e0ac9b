// NumPy arrays in and out of the module: checks with words, results in memory that is used again.
#pragma once

#include <nanobind/nanobind.h>

#include <stdexcept>
#include <string>

#include "engine.h"

namespace panpipe {

// Arrays that do not fit together, values out of range, an instruction set this machine lacks: raised in Python as
// panpipe.errors.ShapeError, InvalidArgument and EngineError.
struct ShapeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct InvalidArgument : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct EngineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Loads NumPy's functions; before all else.
void import_numpy();

// What an argument is, in words, for error messages: "float64 [3, 4]".
std::string describe(nanobind::handle value);

// A float32 matrix whose columns are contiguous.
Matrix matrix_of(nanobind::handle value, const char* name);

struct Vector {
  const float* data;
  Index size;
};
Vector vector_of(nanobind::handle value, const char* name);

// The same, to be written into.
struct WritableMatrix {
  float* data;
  Index rows, columns, stride;
};
WritableMatrix writable_matrix_of(nanobind::handle value, const char* name);

struct Integers {
  const std::int32_t* data;
  Index size;
};
Integers integers_of(nanobind::handle value, const char* name);

// An int32 matrix whose columns are contiguous.
struct IntegerMatrix {
  const std::int32_t* data;
  Index rows, columns, stride;
};
IntegerMatrix integer_matrix_of(nanobind::handle value, const char* name);

// A contiguous, aligned float32 or float16 matrix.
struct Table {
  const void* data;
  bool half;
  Index rows, columns;
};
Table table_of(nanobind::handle value, const char* name);

// A float32 or float16 [outputs, inputs] at any strides.
struct Tensor {
  Source source;
  Index rows, columns;
};
Tensor tensor_of(nanobind::handle value, const char* name);

// Any contiguous float32 array.
struct Values {
  const float* data;
  Index size;
};
Values values_of(nanobind::handle value, const char* name);

// A new float32 array and where its values go.
struct Result {
  nanobind::object array;
  float* data;
  Index stride;
};
Result new_matrix(Index rows, Index columns);

// The same, with rows a little apart where their length would put all of them into the same few sets of the L1 cache
// (multiples of 2 KiB): what reads many rows at once, as the next matrix product does, would fight over these.
Result new_spread_matrix(Index rows, Index columns);

Result new_like(nanobind::handle value);

struct IntegerResult {
  nanobind::object array;
  std::int32_t* data;
};
IntegerResult new_integer_matrix(Index rows, Index columns);

}  // namespace panpipe
