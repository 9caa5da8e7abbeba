//go:build race

package attachertest_test

// usualSeeds is how many are run when nobody asks for a number.
const usualSeeds = 500
