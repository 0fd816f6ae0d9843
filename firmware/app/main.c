#include "app.h"

int main(void)
{
    app_run();
    return 0; /* never reached */
}
