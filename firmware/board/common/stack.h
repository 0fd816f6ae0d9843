/* How deep did the stack ever reach? Painted at reset, read at any time. */
#ifndef BOARD_STACK_H
#define BOARD_STACK_H

/* Fill the unused part of the stack; called once by the start-up code. */
void board_stack_paint(void);

#endif
