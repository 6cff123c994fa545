// Rates of Intel ISA-L: 1e9 bytes of data in a second of CPU time, for cells in cache. Run as `isal K M`; prints three of them:
// encode, one data cell lost, two data cells lost. Cells lie as ours do in bench/codec.bench.ts: 16 KiB, two stripes in turn.
#include <isa-l.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CELL = 16384, STRIPES = 2, MOST = 32, ROUNDS = 5 };
static const double ROUND_SECONDS = 0.08;

static double cpu(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int ascending(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return difference < 0 ? -1 : difference > 0;
}

/** The median of some rounds of making `made` cells out of `k`. */
static double rate(int k, int made, unsigned char *tables, unsigned char *cells[STRIPES][MOST],
                   unsigned char *targets[STRIPES][MOST]) {
  double rates[ROUNDS];
  for (int round = -1; round < ROUNDS; round++) {
    double start = cpu(), used = 0;
    long calls = 0;
    while (used < ROUND_SECONDS) {
      for (int i = 0; i < 16; i++, calls++)
        ec_encode_data(CELL, k, made, tables, cells[calls % STRIPES], targets[calls % STRIPES]);
      used = cpu() - start;
    }
    if (round >= 0) rates[round] = (double)calls * k * CELL / used / 1e9;
  }
  qsort(rates, ROUNDS, sizeof rates[0], ascending);
  return rates[ROUNDS / 2];
}

int main(int count, char **words) {
  if (count != 3) return 2;
  int k = atoi(words[1]), m = atoi(words[2]);
  static unsigned char matrix[MOST * MOST], part[MOST * MOST], inverse[MOST * MOST];
  static unsigned char tables[MOST * MOST * 32];
  static unsigned char *cells[STRIPES][MOST], *targets[STRIPES][MOST];
  for (int stripe = 0; stripe < STRIPES; stripe++)
    for (int cell = 0; cell < k + m; cell++) {
      unsigned char *bytes = aligned_alloc(64, CELL);
      memset(bytes, stripe * 40 + cell, CELL);
      if (cell < k) cells[stripe][cell] = bytes;
      else targets[stripe][cell - k] = bytes;
    }
  gf_gen_cauchy1_matrix(matrix, k + m, k);
  ec_init_tables(k, m, matrix + k * k, tables);
  printf("%.2f", rate(k, m, tables, cells, targets));
  // Lost are the first ones: what is there are rows `lost` to `lost + k - 1` of the matrix.
  for (int lost = 1; lost <= 2; lost++) {
    memcpy(part, matrix + lost * k, (size_t)k * k);
    if (gf_invert_matrix(part, inverse, k) != 0) return 1;
    ec_init_tables(k, lost, inverse, tables);
    printf(" %.2f", rate(k, lost, tables, cells, targets));
  }
  printf("\n");
  return 0;
}
