/* The stub has no front end, as a model that was made elsewhere. */
#ifndef MODEL_FEATURES_H
#define MODEL_FEATURES_H

#define MODEL_FEATURES 0

#endif
