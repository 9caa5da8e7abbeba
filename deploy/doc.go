// Package deploy has no code but tests; README.md says what lies here.
package deploy
