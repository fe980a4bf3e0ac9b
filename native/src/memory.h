// Memory for results and weights, 64-byte aligned.
//
// Fresh pages cost more than a small matrix product: the system clears each and maps it at first touch. So blocks that
// results leave behind are kept, up to a bound, and given to the next results of about the same size.
#pragma once

#include <cstddef>

namespace panpipe {

// Never null; throws std::bad_alloc. `release` may be called from any thread.
void* take_block(std::size_t bytes);
void release_block(void* block) noexcept;

// How much the free blocks hold now; gives all of it back to the system.
std::size_t kept_bytes();
void release_kept();

// Not kept: for weights. Large ones ask for huge pages.
void* take_weights(std::size_t bytes);
void release_weights(void* block) noexcept;

}  // namespace panpipe
