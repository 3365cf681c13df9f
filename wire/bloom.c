#include "bloom.h"

#define BITS (8u * BLOOM_BYTES)		/* m of BEP 33; k is 2 */
#define LN2 0.69314718055994530942

void bloom_merge(uint8_t into[BLOOM_BYTES], const uint8_t from[BLOOM_BYTES])
{
	for (size_t i = 0; i < BLOOM_BYTES; i++)
		into[i] |= from[i];
}

/* Natural logarithm for 0 < x <= 1: halvings to 1/2 and more, and there
 * ln x = 2 artanh((x - 1) / (x + 1)), whose terms fall by more than 9 each. */
static double ln(double x)
{
	double sum = 0, y, power;

	for (; x < 0.5; x *= 2)
		sum -= LN2;
	y = (x - 1) / (x + 1);
	power = y;
	for (int k = 1; k < 40; k += 2, power *= y * y)
		sum += 2 * power / k;
	return sum;
}

double bloom_estimate(const uint8_t filter[BLOOM_BYTES])
{
	unsigned zeros = 0;

	for (unsigned i = 0; i < BITS; i++)
		zeros += !(filter[i / 8] >> i % 8 & 1);
	if (zeros == BITS)
		return 0;
	if (zeros == 0)
		return -1;
	return ln((double)zeros / BITS) / (2 * ln(1 - 1.0 / BITS));
}
