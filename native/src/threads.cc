#include "threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#if defined(_MSC_VER)
#include <intrin.h>
#include <malloc.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace panpipe {
namespace {

// How long an idle thread watches before it sleeps: longer than what lies between two operations of a model, short
// enough to be no burden to other processes.
constexpr std::chrono::microseconds patience{60};

void pause() {
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
  _mm_pause();
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until done() or until patience runs out; says which.
template <class Done>
bool watch(Done done) {
  const auto until = std::chrono::steady_clock::now() + patience;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  return done();
}

class Pool {
 public:
  explicit Pool(int threads) : threads_(threads), shares_(new Share[static_cast<std::size_t>(threads)]) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { live(i); });
  }

  // Only while no job runs.
  ~Pool() {
    {
      const std::lock_guard<std::mutex> lock(sleep_mutex_);
      stop_.store(true);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }

  // One job at a time.
  void run(int chunks, ChunkFunction function, void* context) {
    function_ = function;
    context_ = context;
    for (int i = 0; i < threads_; ++i) {
      shares_[i].next.store(share_begin(chunks, i), std::memory_order_relaxed);
      shares_[i].end.store(share_begin(chunks, i + 1), std::memory_order_relaxed);
    }
    gate_.store(open, std::memory_order_release);
    epoch_.fetch_add(1);
    if (sleepers_.load() > 0) {
      { const std::lock_guard<std::mutex> lock(sleep_mutex_); }
      wake_.notify_all();
    }
    work(0);
    // No thread may enter any more: those that slept through the job are not waited for.
    gate_.fetch_and(~open);
    if (gate_.load() == 0 || watch([this] { return gate_.load() == 0; })) return;
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    caller_sleeps_.store(true);
    done_.wait(lock, [this] { return gate_.load() == 0; });
    caller_sleeps_.store(false);
  }

 private:
  struct alignas(64) Share {
    std::atomic<int> next{0};
    std::atomic<int> end{0};
  };

  static constexpr std::uint32_t open = 1u << 31;  // the lower bits of the gate count the workers inside

  int share_begin(int chunks, int i) const {
    return static_cast<int>(static_cast<std::int64_t>(chunks) * i / threads_);
  }

  void work(int self) {
    for (int i = 0; i < threads_; ++i) {
      Share& share = shares_[(self + i) % threads_];
      const int end = share.end.load(std::memory_order_relaxed);
      while (share.next.load(std::memory_order_relaxed) < end) {
        const int chunk = share.next.fetch_add(1, std::memory_order_relaxed);
        if (chunk >= end) break;
        function_(context_, chunk);
      }
    }
  }

  bool enter() {
    std::uint32_t gate = gate_.load();
    while (gate & open) {
      if (gate_.compare_exchange_weak(gate, gate + 1)) return true;
    }
    return false;
  }

  void leave() {
    if (gate_.fetch_sub(1) == 1 && caller_sleeps_.load()) {
      { const std::lock_guard<std::mutex> lock(sleep_mutex_); }
      done_.notify_one();
    }
  }

  void live(int self) {
    std::uint32_t seen = 0;
    for (;;) {
      const auto is_news = [&] { return epoch_.load() != seen || stop_.load(); };
      if (!watch(is_news)) {
        std::unique_lock<std::mutex> lock(sleep_mutex_);
        sleepers_.fetch_add(1);
        wake_.wait(lock, is_news);
        sleepers_.fetch_sub(1);
      }
      if (stop_.load()) return;
      seen = epoch_.load();
      if (enter()) {
        work(self);
        leave();
      }
    }
  }

  const int threads_;
  std::unique_ptr<Share[]> shares_;
  ChunkFunction function_ = nullptr;
  void* context_ = nullptr;
  alignas(64) std::atomic<std::uint32_t> gate_{0};
  alignas(64) std::atomic<std::uint32_t> epoch_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};
  std::mutex sleep_mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
};

// Never destroyed: threads may still wait on it while the process ends.
struct State {
  std::mutex busy;
  std::unique_ptr<Pool> pool;
  std::atomic<int> threads{1};
};

State*& state() {
  static State* instance = new State;
  return instance;
}

#if !defined(_WIN32)
// The threads of the pool do not follow into the child, and its locks may be held: the child leaves them behind.
void begin_anew() {
  State* child = new State;
  child->threads.store(state()->threads.load());
  state() = child;
}

const int registered = pthread_atfork(nullptr, nullptr, begin_anew);
#endif

struct Scratch {
  float* data = nullptr;
  std::size_t size = 0;
  void release() {
    if (data == nullptr) return;
#if defined(_MSC_VER)
    _aligned_free(data);
#else
    std::free(data);
#endif
  }
  ~Scratch() { release(); }
};

}  // namespace

int num_threads() { return state()->threads.load(); }

void set_num_threads(int count) { state()->threads.store(std::max(count, 1)); }

void run_parallel(int chunks, ChunkFunction function, void* context) {
  State& s = *state();
  const int threads = s.threads.load();
  std::unique_lock<std::mutex> lock(s.busy, std::defer_lock);
  if (chunks <= 1 || threads == 1 || !lock.try_lock()) {
    for (int chunk = 0; chunk < chunks; ++chunk) function(context, chunk);
    return;
  }
  if (!s.pool || s.pool->threads() != threads) {
    s.pool.reset();
    s.pool = std::make_unique<Pool>(threads);
  }
  s.pool->run(chunks, function, context);
}

float* scratch(std::size_t floats) {
  thread_local Scratch mine;
  if (floats > mine.size) {
    mine.release();
    mine.size = 0;
    const std::size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
#if defined(_MSC_VER)
    mine.data = static_cast<float*>(_aligned_malloc(bytes, 64));
#else
    mine.data = static_cast<float*>(std::aligned_alloc(64, bytes));
#endif
    if (mine.data == nullptr) throw std::bad_alloc();
    mine.size = bytes / sizeof(float);
  }
  return mine.data;
}

}  // namespace panpipe
