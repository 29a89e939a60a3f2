#include "tests/emulation/fiber.hpp"

#include <boost/context/protected_fixedsize_stack.hpp>

#include <memory>
#include <utility>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace tesserank::emulation {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t stack_size = 256 * 1024;
#else
constexpr std::size_t stack_size = 64 * 1024;
#endif

/// Keeps the stacks of ended fibers for the next ones: blocks are many.
class StackPool {
  public:
    boost::context::stack_context allocate() {
        auto& free = free_stacks();
        if (free.empty()) return boost::context::protected_fixedsize_stack(stack_size).allocate();
        auto const stack = free.back();
        free.pop_back();
        return stack;
    }
    void deallocate(boost::context::stack_context& stack) { free_stacks().push_back(stack); }

  private:
    static std::vector<boost::context::stack_context>& free_stacks() {
        // Never freed: fibers may end when the process does.
        static auto& stacks = *new std::vector<boost::context::stack_context>;
        return stacks;
    }
};

boost::context::fiber outside;

/// Unwinds the stack of a fiber that nobody enters again.
struct Abandoned {};
bool abandoning = false;

#ifdef __SANITIZE_ADDRESS__
void const* outside_bottom = nullptr;
std::size_t outside_bytes = 0;
void before_switch(void** fake_stack, void const* bottom, std::size_t bytes) {
    __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
}
void after_switch(void* fake_stack, void const** bottom, std::size_t* bytes) {
    __sanitizer_finish_switch_fiber(fake_stack, bottom, bytes);
}
#else
void const* outside_bottom = nullptr;
std::size_t outside_bytes = 0;
void before_switch(void**, void const*, std::size_t) {}
void after_switch(void*, void const**, std::size_t*) {}
#endif

}  // namespace

Fiber::Fiber(std::function<void()> body) {
    StackPool pool;
    auto stack = pool.allocate();
    stack_bytes_ = stack.size;
    stack_bottom_ = static_cast<char*>(stack.sp) - stack.size;
    auto whole = [run = std::move(body)](boost::context::fiber&& from) {
        after_switch(nullptr, &outside_bottom, &outside_bytes);
        outside = std::move(from);
        try {
            if (!abandoning) run();
        } catch (Abandoned const&) {
            // The stack is unwound.
        }
        before_switch(nullptr, outside_bottom, outside_bytes);
        return std::move(outside);
    };
    context_ = boost::context::fiber(std::allocator_arg,
                                     boost::context::preallocated(stack.sp, stack.size, stack),
                                     pool, std::move(whole));
}

Fiber::~Fiber() {
    if (!context_) return;
    abandoning = true;
    enter();
    abandoning = false;
}

void Fiber::enter() {
    void* fake_stack = nullptr;
    before_switch(&fake_stack, stack_bottom_, stack_bytes_);
    context_ = std::move(context_).resume();
    after_switch(fake_stack, nullptr, nullptr);
}

void Fiber::leave() {
    void* fake_stack = nullptr;
    before_switch(&fake_stack, outside_bottom, outside_bytes);
    outside = std::move(outside).resume();
    after_switch(fake_stack, &outside_bottom, &outside_bytes);
    if (abandoning) throw Abandoned{};
}

}  // namespace tesserank::emulation
