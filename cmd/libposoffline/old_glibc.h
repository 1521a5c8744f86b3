/*
 * Read in front of every C file of the library (build.sh). glibc 2.34 moved its threads into libc.so.6
 * under new versions of their names; a library that is linked against the new names loads nowhere
 * else. Terminals live ten years, so the old names are asked for, which every later glibc has too.
 * libpthread.so.0, where older ones keep them, is asked for by build.sh.
 */
#if defined(__GNUC__) && !defined(__ASSEMBLER__)
#if defined(__x86_64__)
#define SINCE(name, i386_version) __asm__(".symver " #name "," #name "@GLIBC_2.2.5");
#elif defined(__i386__)
#define SINCE(name, i386_version) __asm__(".symver " #name "," #name "@GLIBC_" #i386_version);
#elif defined(__arm__)
#define SINCE(name, i386_version) __asm__(".symver " #name "," #name "@GLIBC_2.4");
#elif defined(__aarch64__)
#define SINCE(name, i386_version) __asm__(".symver " #name "," #name "@GLIBC_2.17");
#endif
SINCE(pthread_attr_getstack, 2.2)
SINCE(pthread_attr_getstacksize, 2.1)
SINCE(pthread_create, 2.1)
SINCE(pthread_detach, 2.0)
SINCE(pthread_getattr_np, 2.2.3)
SINCE(pthread_key_create, 2.0)
SINCE(pthread_setspecific, 2.0)
SINCE(pthread_sigmask, 2.0)
#undef SINCE
#endif
