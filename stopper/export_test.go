package stopper

// SelectQuickly is what an arrest selects by.
var SelectQuickly = (*Examiner).selectQuickly
