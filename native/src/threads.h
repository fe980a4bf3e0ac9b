// One persistent pool of threads for all kernels.
//
// A job is a number of chunks. Each thread begins with its own share of them and then helps the others, so a thread
// that is held up elsewhere (another process wants its core) leaves its chunks to the rest. Idle threads watch for the
// next job for a few dozen microseconds, then sleep. Callable from any thread: while one job runs, a second caller
// computes its own job alone. After a fork the child makes a pool of its own.
#pragma once

#include <cstddef>

#include "portable.h"

namespace panpipe {

using ChunkFunction = void (*)(void* context, int chunk);

int num_threads();
void set_num_threads(int count);

// Calls function(context, chunk) for every chunk in 0 ... chunks - 1, in any order, and returns when all are done.
void run_parallel(int chunks, ChunkFunction function, void* context);

template <class Function>
void parallel_for(int chunks, Function function) {
  if (chunks == 1) return function(0);
  run_parallel(chunks, [](void* context, int chunk) { (*static_cast<Function*>(context))(chunk); }, &function);
}

// Calls row(r) for every row, in chunks of some 16 thousand values: as many as it pays to hand to another thread.
template <class Row>
void each_row(Index rows, Index columns, Row row) {
  const Index chunks = smaller(rows, ceil_div(rows * columns, 1 << 14));
  parallel_for(static_cast<int>(larger(chunks, 1)), [&](int chunk) {
    const Index parts = larger(chunks, 1), end = part_begin(rows, parts, chunk + 1);
    for (Index r = part_begin(rows, parts, chunk); r < end; ++r) row(r);
  });
}

// Working memory of the calling thread, 64-byte aligned, kept until the thread ends; what it held is lost.
float* scratch(std::size_t floats);

}  // namespace panpipe
