/* BCC's headers ask for this file; our programs use nothing of it. */
