/* A QEMU plugin that counts how often each instruction runs inside calls of chosen functions.
 *
 * Arguments: out=FILE, base=ADDRESS and bytes=COUNT of the code, mark=ADDRESS for each function,
 * flash=ADDRESS and flash_bytes=COUNT of the memory whose loads are counted apart; numbers as C
 * writes them. FILE gets lines, their addresses relative to base:
 *   insn ADDRESS TEXT               an instruction, once, before it runs
 *   call ADDRESS                    a call of a marked function has ended: the lines up to `end`
 *   at ADDRESS BEGUN ENDED JUMPED FLASH
 *                                   runs of consecutive instructions that began with this one, that
 *                                   ended before this one, jumps from this one elsewhere, and its
 *                                   loads from flash
 *   end LOST                        blocks outside of the code; 0 when all is well
 * A call inside a marked call belongs to the outer one. A call ends where it returns to: behind the
 * instruction that ran before the function's first. */
#include "qemu_plugin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPAN (2u << 20) /* bytes of code at most */
#define MARKS 8
#define NOWHERE UINT32_MAX

/* A block of consecutive instructions, as it is kept in the pointer that QEMU hands back. */
typedef union {
    struct {
        uint32_t begin;
        uint16_t bytes;
        uint16_t last; /* where its last instruction begins, from `begin` */
    } part;
    void *pointer;
} block_t;
_Static_assert(sizeof(block_t) == sizeof(void *), "a 64-bit computer");

typedef struct {
    uint64_t begun;
    uint64_t ended;
    uint64_t jumped;
    uint64_t flash;
} place_t;

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static FILE *out;
static uint32_t base;
static uint32_t span;
static uint32_t flash;
static uint32_t flash_bytes;
static uint32_t marks[MARKS];
static unsigned mark_count;
static bool thumb;       /* what runs, when not Xtensa */
static bool known[SPAN]; /* instructions that are in the file */
static place_t places[SPAN + 1];
static uint64_t lost;
static uint32_t called;           /* the marked function that runs */
static uint32_t caller = NOWHERE; /* where it returns to; NOWHERE when none runs */
static uint32_t behind = NOWHERE; /* the block before */
static uint32_t last;             /* the last instruction of the block before */

static bool is_marked(uint32_t address)
{
    for (unsigned i = 0; i < mark_count; i++) {
        if (marks[i] == address) {
            return true;
        }
    }
    return false;
}

static void write_call(void)
{
    fprintf(out, "call %" PRIu32 "\n", called - base);
    for (uint32_t i = 0; i <= span; i++) {
        const place_t *place = &places[i];
        if (place->begun != 0 || place->ended != 0 || place->jumped != 0 || place->flash != 0) {
            fprintf(out, "at %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", i,
                    place->begun, place->ended, place->jumped, place->flash);
        }
    }
    fprintf(out, "end %" PRIu64 "\n", lost);
    fflush(out);
    memset(places, 0, (span + 1) * sizeof(places[0]));
    lost = 0;
}

static void count(uint32_t begin, uint32_t end)
{
    if (begin < base || end - base > span) {
        lost++;
    } else {
        places[begin - base].begun++;
        places[end - base].ended++;
    }
}

static void on_run(unsigned int core, void *pointer)
{
    const block_t block = {.pointer = pointer};
    const uint32_t begin = block.part.begin;
    const uint32_t end = begin + block.part.bytes;
    (void)core;
    if (caller != NOWHERE && begin != behind && last - base < span) {
        places[last - base].jumped++;
    }
    if (begin == caller) {
        write_call();
        caller = NOWHERE;
    }
    if (caller == NOWHERE && is_marked(begin)) {
        called = begin;
        caller = behind;
    }
    if (caller != NOWHERE) {
        count(begin, end);
    }
    behind = end;
    last = begin + block.part.last;
}

/* For loads and stores: QEMU 7.2 calls back on the wrong ones when asked for loads only. */
static void on_access(unsigned int core, uint32_t info, uint64_t address, void *place)
{
    (void)core;
    if (caller != NOWHERE && !qemu_plugin_mem_is_store(info) && address - flash < flash_bytes) {
        ((place_t *)place)->flash++;
    }
}

static void prepare_instruction(struct qemu_plugin_insn *insn)
{
    const uint32_t place = (uint32_t)qemu_plugin_insn_vaddr(insn) - base;
    if (place < span && flash_bytes > 0) {
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, &places[place]);
    }
    if (place < span && !known[place]) {
        char *text = qemu_plugin_insn_disas(insn);
        fprintf(out, "insn %" PRIu32 " %s\n", place, text);
        free(text);
        known[place] = true;
    }
}

/* Not QEMU's number on Arm: 7.2 adds what it has looked at behind the end of a page. */
static uint32_t size_of(const struct qemu_plugin_insn *insn)
{
    uint16_t half;
    memcpy(&half, qemu_plugin_insn_data(insn), sizeof(half));
    if (thumb) {
        return half >> 11 >= 0x1D ? 4 : 2;
    }
    return (uint32_t)qemu_plugin_insn_size(insn);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    const size_t insns = qemu_plugin_tb_n_insns(tb);
    const struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
    const struct qemu_plugin_insn *final = qemu_plugin_tb_get_insn(tb, insns - 1);
    const uint32_t begin = (uint32_t)qemu_plugin_insn_vaddr(first);
    const uint32_t last_offset = (uint32_t)qemu_plugin_insn_vaddr(final) - begin;
    const block_t block = {
        .part =
            {
                .begin = begin,
                .bytes = (uint16_t)(last_offset + size_of(final)),
                .last = (uint16_t)last_offset,
            },
    };
    (void)id;
    for (size_t i = 0; i < insns; i++) {
        prepare_instruction(qemu_plugin_tb_get_insn(tb, i));
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_run, QEMU_PLUGIN_CB_NO_REGS, block.pointer);
}

static uint32_t number(const char *argument)
{
    return (uint32_t)strtoul(strchr(argument, '=') + 1, NULL, 0);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    thumb = strcmp(info->target_name, "arm") == 0;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        } else if (strncmp(argv[i], "base=", 5) == 0) {
            base = number(argv[i]);
        } else if (strncmp(argv[i], "bytes=", 6) == 0) {
            span = number(argv[i]);
        } else if (strncmp(argv[i], "flash=", 6) == 0) {
            flash = number(argv[i]);
        } else if (strncmp(argv[i], "flash_bytes=", 12) == 0) {
            flash_bytes = number(argv[i]);
        } else if (strncmp(argv[i], "mark=", 5) == 0 && mark_count < MARKS) {
            marks[mark_count++] = number(argv[i]);
        } else {
            fprintf(stderr, "count: unknown argument %s\n", argv[i]);
            return 1;
        }
    }
    if (out == NULL || span == 0 || span > SPAN) {
        fprintf(stderr, "count: expected out=, base= and bytes= up to %u\n", SPAN);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
