#include "memory.h"

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#if defined(_MSC_VER)
#include <intrin.h>
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace panpipe {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t keep_at_most = std::size_t{96} << 20;
constexpr std::size_t keep_at_most_of_a_size = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

std::size_t round_to(std::size_t bytes, std::size_t step) { return (bytes + step - 1) / step * step; }

void* system_take(std::size_t bytes, std::size_t align) {
#if defined(_MSC_VER)
  void* memory = _aligned_malloc(bytes, align);
#else
  void* memory = std::aligned_alloc(align, round_to(bytes, align));
#endif
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void system_release(void* memory) noexcept {
#if defined(_MSC_VER)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

// Sizes come in classes, four to a doubling, so that a block fits the next, slightly different, result.
struct SizeClass {
  int index;
  std::size_t bytes;
};

SizeClass class_of(std::size_t bytes) {
  std::size_t step = alignment;
  int index = 0;
  while (bytes > 8 * step) step *= 2, index += 4;
  const std::size_t quarters = bytes <= 4 * step ? 4 : (bytes + step - 1) / step;
  return {index + static_cast<int>(quarters - 4), quarters * step};
}

constexpr int num_classes = 4 * 58;

// Lies before each block, in a cache line of its own.
struct Header {
  std::size_t bytes;
  int size_class;
  std::uint64_t released;  // when, counted in releases: the oldest blocks go first when there are too many
};

Header* header_of(void* memory) { return static_cast<Header*>(memory); }

struct Shelf {
  std::mutex mutex;
  std::vector<void*> free[num_classes];  // the oldest first
  std::size_t kept = 0;
  std::uint64_t releases = 0;

  void drop_oldest(std::vector<void*>& list) noexcept {
    void* memory = list.front();
    list.erase(list.begin());
    kept -= header_of(memory)->bytes;
    system_release(memory);
  }

  // Sizes that are asked for no more must not keep out those that are.
  void make_room(std::size_t bytes) noexcept {
    while (kept > 0 && kept + bytes > keep_at_most) {
      std::vector<void*>* oldest = nullptr;
      for (std::vector<void*>& list : free) {
        if (list.empty()) continue;
        if (oldest == nullptr || header_of(list.front())->released < header_of(oldest->front())->released) oldest = &list;
      }
      drop_oldest(*oldest);
    }
  }
};

// Never destroyed: results may outlive everything else.
Shelf& shelf() {
  static Shelf* instance = new Shelf;
  return *instance;
}

#if !defined(_WIN32)
// A fork must not catch the shelf half changed.
const int registered = pthread_atfork([] { shelf().mutex.lock(); }, [] { shelf().mutex.unlock(); },
                                      [] { shelf().mutex.unlock(); });
#endif

}  // namespace

void* take_block(std::size_t bytes) {
  const SizeClass size = class_of(bytes);
  Shelf& s = shelf();
  {
    const std::lock_guard<std::mutex> lock(s.mutex);
    std::vector<void*>& list = s.free[size.index];
    if (!list.empty()) {
      void* memory = list.back();
      list.pop_back();
      s.kept -= size.bytes;
      return static_cast<char*>(memory) + alignment;
    }
  }
  void* memory = system_take(size.bytes + alignment, alignment);
  *header_of(memory) = Header{size.bytes, size.index, 0};
  return static_cast<char*>(memory) + alignment;
}

void release_block(void* block) noexcept {
  void* memory = static_cast<char*>(block) - alignment;
  Header* header = header_of(memory);
  Shelf& s = shelf();
  if (header->bytes <= keep_at_most / 2) {
    const std::lock_guard<std::mutex> lock(s.mutex);
    std::vector<void*>& list = s.free[header->size_class];
    s.make_room(header->bytes);
    if (list.size() >= keep_at_most_of_a_size) s.drop_oldest(list);
    try {
      list.push_back(memory);
      header->released = ++s.releases;
      s.kept += header->bytes;
      return;
    } catch (const std::bad_alloc&) {  // no room for the list itself: the block goes back to the system
    }
  }
  system_release(memory);
}

std::size_t kept_bytes() {
  Shelf& s = shelf();
  const std::lock_guard<std::mutex> lock(s.mutex);
  return s.kept;
}

void release_kept() {
  Shelf& s = shelf();
  const std::lock_guard<std::mutex> lock(s.mutex);
  for (std::vector<void*>& list : s.free) {
    for (void* memory : list) system_release(memory);
    list.clear();
  }
  s.kept = 0;
}

void* take_weights(std::size_t bytes) {
  const bool is_large = bytes >= huge_page;
  void* memory = system_take(bytes == 0 ? alignment : bytes, is_large ? huge_page : alignment);
#if defined(__linux__)
  if (is_large) madvise(memory, bytes, MADV_HUGEPAGE);  // advice only: without it, the same with small pages
#endif
  return memory;
}

void release_weights(void* block) noexcept { system_release(block); }

}  // namespace panpipe
