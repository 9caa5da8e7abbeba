package attacher

var CountList = countList
