/* What TFLite Micro asks of the C and C++ runtimes where there is no system below. No object is
 * ever deleted: virtual destructors name these, nothing calls them. What gives up ends in a fault,
 * which tells where. */
#include <cstddef>
#include <new>

void operator delete(void *) noexcept
{
}

void operator delete(void *, size_t) noexcept
{
}

extern "C" {
[[noreturn]] void __cxa_pure_virtual(void);
[[noreturn]] void __assert_func(const char *, int, const char *, const char *);
[[noreturn]] void abort(void) noexcept;

void __cxa_pure_virtual(void)
{
    __builtin_trap();
}

void __assert_func(const char *, int, const char *, const char *)
{
    __builtin_trap();
}

void abort(void) noexcept
{
    __builtin_trap();
}
}
