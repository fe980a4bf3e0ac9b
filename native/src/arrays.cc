#include "arrays.h"

#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#include <numpy/arrayobject.h>

#include "memory.h"

namespace nb = nanobind;

namespace panpipe {
namespace {

PyArrayObject* as_array(nb::handle value) {
  return PyArray_Check(value.ptr()) ? reinterpret_cast<PyArrayObject*>(value.ptr()) : nullptr;
}

[[noreturn]] void refuse(nb::handle value, const char* name, const char* expected) {
  throw ShapeError(std::string(name) + " is " + describe(value) + "; it must be " + expected + ".");
}

PyArrayObject* check(nb::handle value, int type, int dimensions, const char* name, const char* expected) {
  PyArrayObject* array = as_array(value);
  if (array == nullptr || PyArray_TYPE(array) != type || PyArray_NDIM(array) != dimensions ||
      !PyArray_ISBEHAVED_RO(array)) {
    refuse(value, name, expected);
  }
  return array;
}

// A matrix whose columns are contiguous; rows at any stride.
template <class Rows, class Value>
Rows rows_of(nb::handle value, int type, const char* name, const char* expected) {
  PyArrayObject* array = check(value, type, 2, name, expected);
  const npy_intp rows = PyArray_DIM(array, 0), columns = PyArray_DIM(array, 1);
  constexpr npy_intp size = sizeof(Value);
  const npy_intp stride = PyArray_STRIDE(array, 0);
  Value* data = static_cast<Value*>(PyArray_DATA(array));
  if (rows == 0 || columns == 0) return {data, rows, columns, columns};
  if ((columns > 1 && PyArray_STRIDE(array, 1) != size) || stride % size != 0) refuse(value, name, expected);
  return {data, rows, columns, stride / size};
}

void release_capsule(PyObject* capsule) { release_block(PyCapsule_GetPointer(capsule, nullptr)); }

Result new_array(int dimensions, npy_intp* shape, std::size_t bytes, npy_intp* strides, int type = NPY_FLOAT32) {
  void* block = take_block(bytes);
  PyObject* capsule = PyCapsule_New(block, nullptr, release_capsule);
  if (capsule == nullptr) {
    release_block(block);
    throw nb::python_error();
  }
  PyObject* array = PyArray_New(&PyArray_Type, dimensions, shape, type, strides, block, 0,
                                NPY_ARRAY_ALIGNED | NPY_ARRAY_WRITEABLE, nullptr);
  if (array == nullptr) {
    Py_DECREF(capsule);
    throw nb::python_error();
  }
  // Takes the capsule's reference, also when it fails.
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(array), capsule) != 0) {
    Py_DECREF(array);
    throw nb::python_error();
  }
  const Index stride = dimensions == 2 ? PyArray_STRIDE(reinterpret_cast<PyArrayObject*>(array), 0) : 0;
  return {nb::steal(array), static_cast<float*>(block), stride / static_cast<Index>(sizeof(float))};
}

}  // namespace

void import_numpy() {
  if (PyArray_ImportNumPyAPI() < 0) throw nb::python_error();
}

std::string describe(nb::handle value) {
  PyArrayObject* array = as_array(value);
  if (array == nullptr) return std::string("a ") + Py_TYPE(value.ptr())->tp_name;
  const nb::object dtype = value.attr("dtype");
  std::string text = std::string(nb::str(dtype).c_str()) + " [";
  for (int i = 0; i < PyArray_NDIM(array); ++i) text += (i ? ", " : "") + std::to_string(PyArray_DIM(array, i));
  text += "]";
  if (!PyArray_ISBEHAVED_RO(array)) return text + ", not aligned or of the other byte order";
  return PyArray_IS_C_CONTIGUOUS(array) ? text : text + ", not contiguous";
}

Matrix matrix_of(nb::handle value, const char* name) {
  return rows_of<Matrix, const float>(value, NPY_FLOAT32, name, "a float32 matrix with contiguous rows");
}

WritableMatrix writable_matrix_of(nb::handle value, const char* name) {
  constexpr const char* expected = "a float32 matrix with contiguous rows that may be written to";
  PyArrayObject* array = as_array(value);
  if (array == nullptr || !PyArray_ISWRITEABLE(array)) refuse(value, name, expected);
  return rows_of<WritableMatrix, float>(value, NPY_FLOAT32, name, expected);
}

IntegerMatrix integer_matrix_of(nb::handle value, const char* name) {
  return rows_of<IntegerMatrix, const std::int32_t>(value, NPY_INT32, name, "an int32 matrix with contiguous rows");
}

Vector vector_of(nb::handle value, const char* name) {
  PyArrayObject* array = check(value, NPY_FLOAT32, 1, name, "a contiguous float32 vector");
  if (!PyArray_IS_C_CONTIGUOUS(array)) refuse(value, name, "a contiguous float32 vector");
  return {static_cast<const float*>(PyArray_DATA(array)), PyArray_DIM(array, 0)};
}

Integers integers_of(nb::handle value, const char* name) {
  PyArrayObject* array = check(value, NPY_INT32, 1, name, "a contiguous int32 vector");
  if (!PyArray_IS_C_CONTIGUOUS(array)) refuse(value, name, "a contiguous int32 vector");
  return {static_cast<const std::int32_t*>(PyArray_DATA(array)), PyArray_DIM(array, 0)};
}

Table table_of(nb::handle value, const char* name) {
  PyArrayObject* array = as_array(value);
  if (array == nullptr || (PyArray_TYPE(array) != NPY_FLOAT32 && PyArray_TYPE(array) != NPY_FLOAT16) ||
      PyArray_NDIM(array) != 2 || !PyArray_ISCARRAY_RO(array)) {
    refuse(value, name, "a contiguous float32 or float16 matrix");
  }
  return {PyArray_DATA(array), PyArray_TYPE(array) == NPY_FLOAT16, PyArray_DIM(array, 0), PyArray_DIM(array, 1)};
}

Tensor tensor_of(nb::handle value, const char* name) {
  PyArrayObject* array = as_array(value);
  if (array == nullptr || (PyArray_TYPE(array) != NPY_FLOAT32 && PyArray_TYPE(array) != NPY_FLOAT16) ||
      PyArray_NDIM(array) != 2 || !PyArray_ISBEHAVED_RO(array)) {
    refuse(value, name, "a float32 or float16 matrix");
  }
  const npy_intp size = PyArray_ITEMSIZE(array);
  const Source source{PyArray_DATA(array), PyArray_TYPE(array) == NPY_FLOAT16, PyArray_STRIDE(array, 0) / size,
                      PyArray_STRIDE(array, 1) / size};
  return {source, PyArray_DIM(array, 0), PyArray_DIM(array, 1)};
}

Values values_of(nb::handle value, const char* name) {
  PyArrayObject* array = as_array(value);
  if (array == nullptr || PyArray_TYPE(array) != NPY_FLOAT32 || !PyArray_ISCARRAY_RO(array)) {
    refuse(value, name, "a contiguous float32 array");
  }
  return {static_cast<const float*>(PyArray_DATA(array)), PyArray_SIZE(array)};
}

Result new_matrix(Index rows, Index columns) {
  npy_intp shape[2] = {rows, columns};
  return new_array(2, shape, static_cast<std::size_t>(rows * columns) * sizeof(float), nullptr);
}

Result new_spread_matrix(Index rows, Index columns) {
  constexpr Index bytes_that_clash = 2048, widest = 8192;
  constexpr auto size = static_cast<Index>(sizeof(float));
  if (rows < 8 || columns * size % bytes_that_clash != 0 || columns > widest) return new_matrix(rows, columns);
  const Index stride = columns + 64 / size;
  npy_intp shape[2] = {rows, columns}, strides[2] = {stride * size, size};
  return new_array(2, shape, static_cast<std::size_t>(rows * stride * size), strides);
}

Result new_like(nb::handle value) {
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(value.ptr());
  return new_array(PyArray_NDIM(array), PyArray_DIMS(array), static_cast<std::size_t>(PyArray_NBYTES(array)), nullptr);
}

IntegerResult new_integer_matrix(Index rows, Index columns) {
  npy_intp shape[2] = {rows, columns};
  static_assert(sizeof(std::int32_t) == sizeof(float), "a result is as large with either");
  Result result = new_array(2, shape, static_cast<std::size_t>(rows * columns) * sizeof(float), nullptr, NPY_INT32);
  return {std::move(result.array), static_cast<std::int32_t*>(static_cast<void*>(result.data))};
}

}  // namespace panpipe
