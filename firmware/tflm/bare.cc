/* What TFLite Micro asks of the C++ runtime where there is none. No object is ever deleted: virtual
 * destructors name these, nothing calls them. */
#include <cstddef>
#include <new>

void operator delete(void *) noexcept {}

void operator delete(void *, size_t) noexcept {}

extern "C" {
[[noreturn]] void __cxa_pure_virtual(void);
}

void __cxa_pure_virtual(void)
{
    __builtin_trap();
}
